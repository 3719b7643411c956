package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;

/** With nobody taking or giving buffers, counts those that the rings still have: none may be lost for ever. */
final class RingCensus {
    private static final int SENDERS = 5;

    /** More than the largest ring can hold; of each sender, less than its socket can. */
    private static final int BURST = 240 * SENDERS;

    /** Linux refills a receiveq in batches, so a few buffers may be missing at any time. */
    private static final int REFILL = 36;

    /** Linux stops a transmitq when fewer than 2 + 17 descriptors are free. */
    private static final int RESERVE = 24;

    private final QemuLab lab;

    RingCensus(final QemuLab lab) {
        this.lab = lab;
    }

    void check() throws IOException, InterruptedException {
        lab.reach();
        final long receive = receiveBuffers();
        lab.ping(100, 56);
        final long transmit = transmitBuffers();
        lab.ping(100, 56);
        System.out.printf("buffers: %d in the peer's receiveq, %d in the subject's transmitq%n", receive, transmit);
        assertTrue(receive >= QemuLab.PEER_RING - REFILL, receive + " buffers in the receiveq");
        assertTrue(transmit >= lab.subjectRing() - RESERVE, transmit + " buffers in the transmitq");
    }

    /** The peer stands still: what it receives, it had buffers for. */
    private long receiveBuffers() throws IOException, InterruptedException {
        final long sent = count("b", "sent");
        final long received = count("a", "received");
        signal("STOP", lab.peer().pid());
        try {
            burst();
            awaitReceived(received + BURST);
            return count("b", "sent") - sent;
        } finally {
            signal("CONT", lab.peer().pid());
        }
    }

    /** The back-end stands still while the subject fills its ring, then the subject while the back-end empties it. */
    private long transmitBuffers() throws IOException, InterruptedException {
        final long received = count("a", "received");
        final long backend = lab.backend().pid();
        final long subject = lab.subject().pid();
        long taken;
        signal("STOP", backend);
        try {
            burst();
            Thread.sleep(1500);
            signal("STOP", subject);
        } finally {
            signal("CONT", backend);
        }
        try {
            Thread.sleep(500);
            taken = count("a", "received") - received;
        } finally {
            signal("CONT", subject);
        }
        awaitReceived(received + BURST);
        return taken;
    }

    private void burst() throws IOException {
        lab.subject()
                .must(("for i in $(seq %d); do traffic send nic0 ff:ff:ff:ff:ff:ff %s %s 10000 80 ether/0x88b5=%d"
                                + " > /dev/null 2>&1 & done")
                        .formatted(SENDERS, QemuLab.SUBJECT, QemuLab.PEER, BURST / SENDERS));
    }

    private long count(final String port, final String direction) throws IOException {
        return lab.backend().port(port).get(direction).get("packets").asLong();
    }

    private void awaitReceived(final long frames) throws InterruptedException {
        Waiting.until("the burst has been taken", Duration.ofSeconds(10), () -> count("a", "received") >= frames);
    }

    private static void signal(final String name, final long pid) throws IOException, InterruptedException {
        final int status = new ProcessBuilder("kill", "-" + name, Long.toString(pid))
                .inheritIO()
                .start()
                .waitFor();
        assertEquals(0, status, "kill");
    }
}
