package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

/** How many lines a front-end can make us write. */
class PortLogTest {
    private static final long SECOND = 1_000_000_000;

    @Test
    void shouldAllowABurstAndThenALineASecond() {
        final PortLog log = new PortLog("p");
        final long now = System.nanoTime();
        for (int i = 0; i < PortLog.BURST; i++) {
            assertEquals(0, log.missedIfAllowed(now));
        }
        for (int i = 0; i < 5000; i++) {
            assertEquals(-1, log.missedIfAllowed(now));
        }
        assertEquals(5000, log.missedIfAllowed(now + SECOND + SECOND / 2));
        assertEquals(-1, log.missedIfAllowed(now + SECOND + SECOND / 2));
        assertEquals(1, log.missedIfAllowed(now + 2 * SECOND + SECOND / 2));
    }

    @Test
    void shouldSaveNoMoreThanABurst() {
        final PortLog log = new PortLog("p");
        final long later = System.nanoTime() + 86_400 * SECOND;
        for (int i = 0; i < PortLog.BURST; i++) {
            assertEquals(0, log.missedIfAllowed(later));
        }
        assertEquals(-1, log.missedIfAllowed(later));
    }
}
