package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a front-end names its files goes to the log. */
class ForgedNameTest {
    @Test
    void shouldNotLetTheNameOfAFileForgeLines() {
        final int fd = Libc.LIBC.memfd_create("x\n12:00:00 ERROR port b\u001b[2J\u202e", Libc.MFD_CLOEXEC);
        try (Message message = new Message(12, Message.VERSION, ByteBuffer.allocate(8), List.of(fd))) {
            final String why = assertThrows(
                            ProtocolException.class, () -> EventFd.from(FrontendRequest.SET_VRING_KICK, message))
                    .getMessage();
            assertEquals("", why.replaceAll("[ -~]", ""), why);
        }
    }
}
