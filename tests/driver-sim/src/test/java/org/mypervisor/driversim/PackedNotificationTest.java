package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Event suppression of a packed ring in both directions, over several laps of a ring of odd size. */
final class PackedNotificationTest {
    private final GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 1 << 20);
    private final long data = memory.allocate(4096, 4096);
    private PackedLayout layout;
    private PackedDriver driver;
    private SlowPackedDevice device;

    private void open(final int size, final long features) {
        layout = PackedLayout.allocate(memory, size);
        driver = new PackedDriver(memory, layout, features);
        device = new SlowPackedDevice(memory, layout, features, driver.base());
    }

    @AfterEach
    void close() {
        driver.close();
        memory.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1L << 29})
    void shouldKickOnlyWhenTheDeviceAsks(final long features) {
        open(5, features);
        for (int lap = 0; lap < 8; lap++) {
            driver.kickIfNeeded();
            device.enableKicks();
            driver.addOne(data, 10, false);
            assertTrue(driver.publishAndKick());
            assertFalse(driver.kickIfNeeded());
            device.suppressKicks();
            takeAndUse();
            for (int i = 0; i < 2; i++) {
                driver.addOne(data, 10, false);
                assertFalse(driver.publishAndKick());
                takeAndUse();
            }
            device.enableKicks();
            assertFalse(driver.kickIfNeeded());
            driver.addOne(data, 10, false);
            driver.addOne(data, 10, false);
            assertTrue(driver.publishAndKick());
            takeAndUse();
            takeAndUse();
        }
        assertEquals(16, driver.kicks());
        assertEquals(16, driver.notifiers().kick().drain());
    }

    /** An event of a lap ago, and one of the descriptor after the next. */
    @Test
    void shouldCompareTheEventWithItsWrapCounter() {
        open(4, mask(29));
        for (int i = 0; i < 6; i++) {
            driver.addOne(data, 1, false);
            driver.publish();
            takeAndUse();
        }
        driver.kickIfNeeded();
        memory.putLe16(layout.deviceEventGpa(), 0x8003);
        memory.putLe16(layout.deviceEventGpa() + 2, 2);
        driver.addOne(data, 1, false);
        assertFalse(driver.publishAndKick());
        memory.putLe16(layout.deviceEventGpa(), 0x0003);
        driver.addOne(data, 1, false);
        assertTrue(driver.publishAndKick());
    }

    private void takeAndUse() {
        device.use(device.take().head(), 0);
        device.publish();
        assertTrue(driver.nextUsed());
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1L << 29})
    void shouldBeCalledOnlyWhenItAsks(final long features) {
        open(5, features);
        for (int lap = 0; lap < 8; lap++) {
            driver.enableInterrupts();
            assertTrue(useOne());
            driver.disableInterrupts();
            assertFalse(useOne());
            assertFalse(useOne());
            driver.enableInterrupts();
            while (driver.nextUsed()) {
                // What came before interrupts were wanted.
            }
            driver.enableInterrupts();
            assertTrue(useOne());
            assertTrue(driver.nextUsed());
        }
    }

    private boolean useOne() {
        driver.addOne(data, 10, true);
        driver.publish();
        device.use(device.take().head(), 10);
        return device.publish();
    }
}
