package org.mypervisor.offload.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** A queue that somebody else has, on a veth of the test's own. */
@Timeout(60)
final class XdpInterfaceTest {
    private static final int MTU = 1500;

    private final String name = "mpx" + ProcessHandle.current().pid();
    private final XdpInterface netInterface = new XdpInterface(name, 0, 1, XdpInterface.Copying.AUTO);

    private static boolean run(final String command) throws IOException, InterruptedException {
        return new ProcessBuilder(command.split(" "))
                        .redirectErrorStream(true)
                        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
                        .start()
                        .waitFor()
                == 0;
    }

    @BeforeEach
    void makeVeth() throws IOException, InterruptedException {
        assumeTrue("root".equals(System.getProperty("user.name")), "interfaces need root");
        assumeTrue(run("ip link add " + name + " type veth peer name " + name + "p"), "no veth can be made here");
        assertTrue(run("ip link set " + name + " up") && run("ip link set " + name + "p up"));
        netInterface.setLosses((bytes, gso, whole) -> {});
    }

    @AfterEach
    void removeVeth() throws IOException, InterruptedException {
        run("ip link del " + name);
    }

    private XdpSocket boundSocket() throws XdpRefusedException {
        final XdpSocket socket = new XdpSocket(MTU);
        socket.prepare();
        assertEquals(0, socket.bind(NetDevice.index(name), 0, XdpSocket.XDP_COPY));
        return socket;
    }

    /** The kernel lets go of a queue some time after its socket was closed; here that time is long. */
    @Test
    void shouldWaitForAQueueThatIsAboutToBecomeFree() throws IOException, InterruptedException {
        final XdpSocket earlier = boundSocket();
        final Thread closing = new Thread(() -> {
            try {
                TimeUnit.MILLISECONDS.sleep(200);
            } catch (final InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            earlier.close();
        });
        closing.start();
        try {
            assertEquals(2, netInterface.open().size());
        } finally {
            closing.join();
            netInterface.close();
        }
    }

    @Test
    void shouldBlameAnotherSocketThatKeepsTheQueue() throws IOException {
        final XdpSocket other = boundSocket();
        try {
            final String message =
                    assertThrows(IOException.class, netInterface::open).getMessage();
            assertEquals("interface " + name + ": another XDP socket has its queue 0", message);
        } finally {
            other.close();
        }
    }
}
