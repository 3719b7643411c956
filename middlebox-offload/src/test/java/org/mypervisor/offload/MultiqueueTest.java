package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mypervisor.driversim.Frontend;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.ReceivedFrame;

/** Ports of several queue pairs on a whole back-end: what each pair sends arrives in order, and all is accounted for. */
@Timeout(120)
final class MultiqueueTest {
    private static final int FRAME_BYTES = 60;
    private static final int PAIR_AT = 16;
    private static final int NUMBER_AT = 20;
    private static final NetOptions OPTIONS = NetOptions.defaults();

    @TempDir
    private Path folder;

    private RunningBackend backend(final int left, final int right) {
        return RunningBackend.withPaths(
                folder, false, List.of("a,wait=5000,queues=" + left, "b,wait=5000,queues=" + right), "a <-> b");
    }

    /** A guest whose NIC has several queue pairs, all of them in use at first. */
    private static final class Guest implements AutoCloseable {
        private final GuestMemoryFile memory = GuestMemoryFile.likeQemu(64 << 20);
        private final Frontend frontend;
        private final NetDriver[] pairs;
        private final long[] sent;

        /** Of each pair of the sender, the lowest number that its next frame in each of our receiveqs may have. */
        private final long[][] expected = new long[4][4];

        private long received;
        private final long[] receivedInPair;

        Guest(final RunningBackend backend, final String port, final int count) {
            frontend = Frontend.client(backend.socket(port)).want(LIKE_QEMU | 1L << 22);
            frontend.connectLikeQemu(count);
            pairs = new NetDriver[count];
            Arrays.setAll(pairs, pair -> new NetDriver(frontend, memory, OPTIONS));
            sent = new long[count];
            receivedInPair = new long[count];
            for (final NetDriver pair : pairs) {
                pair.postReceiveBuffers();
            }
            frontend.startLikeQemu(memory, NetDriver.vringsOf(pairs));
            frontend.setQueuePairs(count);
            frontend.getFeatures();
            RunningBackend.await(
                    port + " is up", () -> backend.port(port).state().equals("up"));
        }

        /** The pair's number and a running number of the pair's own are in the frame. */
        void send(final int pair) {
            final byte[] frame = new byte[FRAME_BYTES];
            ByteBuffer.wrap(frame).putInt(PAIR_AT, pair).putLong(NUMBER_AT, sent[pair]++);
            pairs[pair].transmit(frame);
        }

        /** Takes what has arrived: in a receiveq, frames of one pair come in order, though some may be elsewhere. */
        void receive() {
            for (int i = 0; i < pairs.length; i++) {
                final int queue = i;
                for (ReceivedFrame got = pairs[i].pollFrame(); got != null; got = pairs[i].pollFrame()) {
                    final ByteBuffer frame = ByteBuffer.wrap(got.frame());
                    final int pair = frame.getInt(PAIR_AT);
                    final long number = frame.getLong(NUMBER_AT);
                    assertTrue(
                            number >= expected[pair][queue],
                            () -> "frame " + number + " of pair " + pair + " comes after "
                                    + (expected[pair][queue] - 1));
                    expected[pair][queue] = number + 1;
                    received++;
                    receivedInPair[i]++;
                }
            }
        }

        long sent() {
            return Arrays.stream(sent).sum();
        }

        /** Waits for all chains to come back while the other guest takes its frames. */
        void awaitTransmittedWhile(final Guest other) {
            for (final NetDriver pair : pairs) {
                MultiqueueTest.await("chains back", other, () -> {
                    while (pair.transmitq().nextUsed()) {
                        // Counted by the ring.
                    }
                    return pair.transmitq().outstanding() == 0;
                });
            }
        }

        @Override
        public void close() {
            for (final NetDriver pair : pairs) {
                pair.close();
            }
            frontend.close();
            memory.close();
        }
    }

    private static void await(final String what, final Guest guest, final BooleanSupplier condition) {
        RunningBackend.await(what, () -> {
            guest.receive();
            return condition.getAsBoolean();
        });
    }

    /** More pairs on the one side than on the other, and as many. */
    @ParameterizedTest
    @CsvSource({"4, 2", "2, 4", "4, 4", "1, 4", "4, 1"})
    void shouldDeliverEveryFrameOfEveryPairInOrder(final int left, final int right) {
        final int rounds = 5000;
        try (RunningBackend backend = backend(left, right);
                Guest a = new Guest(backend, "a", left);
                Guest b = new Guest(backend, "b", right)) {
            for (int i = 0; i < rounds; i++) {
                for (int pair = 0; pair < left; pair++) {
                    a.send(pair);
                }
                for (int pair = 0; pair < right; pair++) {
                    b.send(pair);
                }
                a.receive();
                b.receive();
            }
            await("all frames from a", b, () -> b.received == a.sent());
            await("all frames from b", a, () -> a.received == b.sent());
            for (int pair = 0; pair < left; pair++) {
                assertEquals(a.sent[pair], b.expected[pair][pair % right]);
            }
            for (int pair = 0; pair < right; pair++) {
                assertEquals(b.sent[pair], a.expected[pair][pair % left]);
            }
            // Each pair of the source has its receiveq; a surplus of pairs on either side is shared or left alone.
            for (int pair = 0; pair < right; pair++) {
                final int queue = pair;
                final long share = rounds
                        * IntStream.range(0, left)
                                .filter(from -> from % right == queue)
                                .count();
                assertEquals(share, b.receivedInPair[pair], "receiveq of pair " + pair);
            }
            assertEquals(rounds * (long) left, backend.port("a").received().packets());
            assertEquals(rounds * (long) right, backend.port("a").sent().packets());
        }
    }

    /** Pairs of both sides come and go under traffic: frames = arrived + sent while disabled. */
    @Test
    void shouldAccountForEveryFrameWhilePairsComeAndGo() {
        try (RunningBackend backend = backend(4, 2);
                Guest a = new Guest(backend, "a", 4);
                Guest b = new Guest(backend, "b", 2)) {
            final int[] counts = {4, 1, 3, 2};
            for (int i = 0; i < 40_000; i++) {
                a.send(i % 4);
                b.send(i % 2);
                a.receive();
                b.receive();
                if (i % 100 == 0) {
                    a.frontend.setQueuePairs(counts[i / 100 % counts.length]);
                    b.frontend.setQueuePairs(1 + i / 300 % 2);
                }
            }
            a.frontend.getFeatures();
            b.frontend.getFeatures();
            a.awaitTransmittedWhile(b);
            b.awaitTransmittedWhile(a);
            final long disabledA = backend.port("a").drops().get("disabled");
            final long disabledB = backend.port("b").drops().get("disabled");
            assertTrue(disabledA > 1000 && disabledB > 1000, disabledA + " and " + disabledB + " were disabled");
            await("frames from a", b, () -> b.received == a.sent() - disabledA);
            await("frames from b", a, () -> a.received == b.sent() - disabledB);
            assertEquals(a.sent(), backend.port("a").received().packets());
            assertEquals(b.sent(), backend.port("b").received().packets());
            for (final String port : List.of("a", "b")) {
                assertEquals(0, backend.port(port).drops().get("no_buffer"));
                assertEquals(0, backend.port(port).drops().get("down"));
                assertEquals("up", backend.port(port).state());
            }
        }
    }

    /** A receiveq that is disabled alone gets nothing; what would have gone there goes to another one. */
    @Test
    void shouldAvoidADisabledReceiveq_OVS_585a5beaa_f3ea2ad27() {
        try (RunningBackend backend = backend(4, 4);
                Guest a = new Guest(backend, "a", 4);
                Guest b = new Guest(backend, "b", 4)) {
            for (int disabled = 1; disabled < 4; disabled++) {
                b.frontend.setVringEnable(2 * disabled, false);
                b.frontend.getFeatures();
                final long before = b.receivedInPair[disabled];
                final long sent = a.sent();
                for (int i = 0; i < 400; i++) {
                    a.send(i % 4);
                    b.receive();
                }
                await("all frames", b, () -> b.received == sent + 400);
                assertEquals(before, b.receivedInPair[disabled], "frames in the disabled receiveq");
                b.frontend.setVringEnable(2 * disabled, true);
                b.frontend.getFeatures();
                a.send(disabled);
                await("in its own again", b, () -> b.received == sent + 401);
                assertEquals(before + 1, b.receivedInPair[disabled]);
            }
        }
    }
}
