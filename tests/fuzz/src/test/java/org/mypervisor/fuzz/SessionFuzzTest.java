package org.mypervisor.fuzz;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import com.code_intelligence.jazzer.junit.FuzzTest;
import org.mypervisor.driversim.Message;
import org.mypervisor.driversim.VhostUserSocket;

/**
 * Whatever arrives on a port's socket, and whatever is in the rings it sets up: replies are well-formed, the session ends
 * with its connection, nothing stays open or mapped, no thread dies or logs an error, and every frame is counted.
 */
class SessionFuzzTest {
    private static final int REPLY_FLAGS = Message.VERSION | Message.REPLY;

    /** Made on first use: classes that are loaded before the fuzzer is ready are not guided by coverage. */
    private static final class Running {
        static final FuzzedBackend BACKEND = new FuzzedBackend();

        static {
            FuzzedFrontend.prepare();
            // Once for what libraries open on first use.
            end(BACKEND.connect());
        }
    }

    private static HeldResources held;

    @FuzzTest(maxDuration = "8s")
    void sessionEndsCleanlyWhateverArrives(final FuzzedDataProvider data) {
        final FuzzedBackend backend = Running.BACKEND;
        if (held == null) {
            held = HeldResources.now();
        }
        FuzzedFrontend.prepare();
        final VhostUserSocket socket = backend.connect();
        new FuzzedFrontend(data, socket).play();
        end(socket);
        held = held.checkNothingLeftBehind();
        backend.check();
    }

    /** The back-end closes its end only after it has taken everything down. */
    private static void end(final VhostUserSocket socket) {
        socket.endOutput();
        for (Message reply = receive(socket); reply != null; reply = receive(socket)) {
            assertTrue(reply.flags() == REPLY_FLAGS && reply.payload().length == 8, reply::toString);
            assertTrue(reply.fds().length == 0, reply::toString);
        }
        socket.close();
    }

    private static Message receive(final VhostUserSocket socket) {
        return socket.receiveOrNull("the end of the session");
    }
}
