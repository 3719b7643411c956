package org.mypervisor.integration;

import java.io.IOException;
import java.time.Duration;

/** TCP both ways at once between the guests of a lab, as fast as they can, until stopped. */
final class Streams {
    private static final int PORT = 7001;
    private static final int FOR_EVER = 1_000_000;

    /** Each way, data and acknowledgements: some rings full of them. */
    private static final long FLOWING = 2000;

    /** TCP tries again after up to twice the time for which the way was cut. */
    private static final Duration TO_RECOVER = Duration.ofSeconds(20);

    private static final Duration QUIET = Duration.ofMillis(300);

    private final QemuLab lab;
    private final String subjectAddress;
    private final String peerAddress;

    Streams(final QemuLab lab, final String subjectAddress, final String peerAddress) {
        this.lab = lab;
        this.subjectAddress = subjectAddress;
        this.peerAddress = peerAddress;
    }

    void start() throws IOException {
        for (final Guest guest : new Guest[] {lab.subject(), lab.peer()}) {
            guest.must("traffic tcp-sink %d > /dev/null 2>&1 & echo $! > /tmp/sink.pid".formatted(PORT));
        }
        send(lab.subject(), peerAddress);
        send(lab.peer(), subjectAddress);
    }

    private static void send(final Guest guest, final String to) throws IOException {
        guest.must("sleep 0.1; traffic tcp-send %s %d %d > /dev/null 2>&1 & echo $! > /tmp/stream.pid"
                .formatted(to, PORT, FOR_EVER));
    }

    /** Returns while frames pass both ways, a good many of them since the call. */
    void awaitFlow() throws IOException, InterruptedException {
        final long fromSubject = count("received");
        final long toSubject = count("sent");
        Waiting.until(
                "TCP flows both ways",
                TO_RECOVER,
                () -> count("received") >= fromSubject + FLOWING && count("sent") >= toSubject + FLOWING);
    }

    /** Returns when nothing of the streams is under way any more. */
    void stop() throws IOException, InterruptedException {
        for (final String process : new String[] {"stream", "sink"}) {
            for (final Guest guest : new Guest[] {lab.subject(), lab.peer()}) {
                guest.must("kill $(cat /tmp/%s.pid)".formatted(process));
            }
        }
        final long[] before = {-1};
        Waiting.until("silence", TO_RECOVER, () -> {
            final long now = count("received") + count("sent");
            final boolean silent = now == before[0];
            before[0] = now;
            Thread.sleep(QUIET.toMillis());
            return silent;
        });
    }

    private long count(final String direction) throws IOException {
        return lab.backend().port("a").get(direction).get("packets").asLong();
    }
}
