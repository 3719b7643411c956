package org.mypervisor.offload.host;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import org.junit.jupiter.api.Test;
import org.mypervisor.vhostuser.EventFd;
import org.mypervisor.virtqueue.RingFault;

final class TapReaderTest {
    /** Not even those that it has read already. */
    @Test
    void shouldGiveNoFramesWhenItIsBroken() throws IOException {
        try (EventFd anything = EventFd.create()) {
            final TapReader reader = new TapReader(anything.fd(), 0);
            anything.signal();
            assertEquals(1, reader.available(32));
            reader.breakRing(RingFault.BACK_END_ERROR);
            assertEquals(0, reader.available(32));
            reader.free();
        }
    }
}
