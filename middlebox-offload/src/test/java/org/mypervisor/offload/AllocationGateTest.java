package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.driversim.Virtio.GUEST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.HOST_OFFLOADS;
import static org.mypervisor.driversim.Virtio.LIKE_QEMU;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_EVENT_IDX;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_IN_ORDER;
import static org.mypervisor.driversim.Virtio.VIRTIO_F_RING_PACKED;
import static org.mypervisor.driversim.Virtio.VIRTIO_NET_F_MRG_RXBUF;
import static org.mypervisor.driversim.Virtio.mask;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.mypervisor.driversim.NetDriver;
import org.mypervisor.driversim.NetOptions;
import org.mypervisor.driversim.NetPump;
import org.mypervisor.offload.gso.Flow;
import org.mypervisor.offload.gso.GuestOffloads.Treatment;

/** In steady state the worker's thread allocates nothing at all. */
final class AllocationGateTest {
    private static final int MILLION = 1_000_000;
    private static final int WARM_UP = 200_000;
    private static final int BURST = 64;
    private static final int ONE_BY_ONE = 500;

    @TempDir
    private Path folder;

    /** Moves so many frames from one driver to the other. */
    private interface Traffic {
        void move(NetDriver from, NetPump source, NetDriver to, NetPump sink, int frames);
    }

    /** What the two drivers negotiate, and what the first one sends. */
    private record Guests(long from, long to, byte[] header, byte[] frame) {
        static Guests like(final long features) {
            return new Guests(features, features, new byte[12], udp());
        }
    }

    private void assertNoneAllocated(
            final String path, final boolean busyPoll, final int warmUp, final int frames, final Traffic traffic) {
        assertNoneAllocated(path, busyPoll, Guests.like(LIKE_QEMU), warmUp, frames, traffic);
    }

    private void assertNoneAllocated(
            final String path,
            final boolean busyPoll,
            final Guests guests,
            final int warmUp,
            final int frames,
            final Traffic traffic) {
        final NetOptions options =
                NetOptions.defaults().withTransmitBufferSize(Math.max(2048, guests.frame.length + 12));
        try (RunningBackend backend = RunningBackend.withPaths(folder, busyPoll, List.of("a", "b,wait=5000"), path);
                NetDriver a = backend.guest("a", guests.from, options);
                NetDriver b = backend.guest("b", guests.to, options)) {
            final NetPump source = new NetPump(a, guests.header, guests.frame);
            final NetPump sink = new NetPump(b, new byte[60]);
            traffic.move(a, source, b, sink, warmUp);
            final long worker = RunningBackend.workerThreadId();
            final int rounds = Allocations.assertNone(worker, () -> traffic.move(a, source, b, sink, frames));
            final long all = warmUp + (long) rounds * frames;
            assertEquals(all, backend.port("a").received().packets(), "the frames were really moved");
            assertEquals(all, backend.port("b").sent().packets(), "and none was dropped");
        }
    }

    /** As fast as it goes, kicks and calls suppressed. */
    private static void pump(
            final NetDriver from, final NetPump source, final NetDriver to, final NetPump sink, final int frames) {
        final long end = source.transmitted() + frames;
        while (source.completed() < end) {
            source.transmitBurst((int) Math.min(BURST, end - source.transmitted()));
            sink.receiveBurst(BURST);
        }
    }

    /** Each frame wakes the worker from its sleep, and both drivers want to be called. */
    private static void oneByOne(
            final NetDriver from, final NetPump source, final NetDriver to, final NetPump sink, final int frames) {
        for (int i = 0; i < frames; i++) {
            from.transmitq().enableInterrupts();
            to.receiveq().enableInterrupts();
            final long end = source.transmitted() + 1;
            source.transmitBurst(1);
            while (source.completed() < end) {
                source.transmitBurst(0);
                sink.receiveBurst(BURST);
                Thread.onSpinWait();
            }
            if (i % 16 == 0) {
                sleepBriefly();
            }
        }
        from.transmitq().disableInterrupts();
        to.receiveq().disableInterrupts();
    }

    private static void bothWays(
            final NetDriver from, final NetPump source, final NetDriver to, final NetPump sink, final int frames) {
        pump(from, source, to, sink, frames - ONE_BY_ONE);
        oneByOne(from, source, to, sink, ONE_BY_ONE);
    }

    private static void sleepBriefly() {
        try {
            Thread.sleep(0, 100_000);
        } catch (final InterruptedException e) {
            throw new AssertionError(e);
        }
    }

    private static byte[] udp() {
        final byte[] frame = new byte[60];
        frame[12] = 8;
        frame[14] = 0x45;
        frame[17] = 46;
        frame[23] = 17;
        frame[26] = 10;
        frame[30] = 10;
        frame[37] = 53;
        return frame;
    }

    @Test
    void shouldAllocateNothingOverAMillionPacketsOfTheWire() {
        assertNoneAllocated("a -> b", true, WARM_UP, MILLION, AllocationGateTest::pump);
    }

    private String filter() throws IOException {
        final Path rules = Files.writeString(
                folder.resolve("acl.rules"),
                "deny tcp from any to any port 80\ndeny icmp from any to 10.0.0.7\nallow udp from any to any port 53\n"
                        + "deny ip6 from 2001:db8::/32 to any\ndefault allow\n");
        return "a -> count -> filter(rules=" + rules + ") -> b";
    }

    @Test
    void shouldAllocateNothingOverAMillionPacketsOfTheFilter() throws IOException {
        assertNoneAllocated(filter(), true, WARM_UP, MILLION, AllocationGateTest::pump);
    }

    @Test
    void shouldAllocateNothingOverAMillionPacketsInAdaptiveMode() {
        assertNoneAllocated("a -> b", false, WARM_UP, MILLION, AllocationGateTest::pump);
    }

    @Test
    void shouldAllocateNothingWhenItSleepsAndNotifies() {
        assertNoneAllocated("a -> b", false, 10_000, 40_000, AllocationGateTest::oneByOne);
    }

    static Stream<Arguments> combinations() {
        final int[] bits = {VIRTIO_F_RING_PACKED, VIRTIO_F_EVENT_IDX, VIRTIO_F_IN_ORDER, VIRTIO_NET_F_MRG_RXBUF};
        return IntStream.range(0, 2 << bits.length).mapToObj(choice -> {
            long features = LIKE_QEMU & ~mask(bits);
            for (int i = 0; i < bits.length; i++) {
                features |= (long) (choice >>> i & 1) << bits[i];
            }
            final int names = choice;
            final String text = IntStream.range(0, bits.length)
                    .filter(i -> (names >>> i & 1) != 0)
                    .mapToObj(i -> new String[] {"packed", "event_idx", "in_order", "mrg_rxbuf"}[i])
                    .collect(Collectors.joining(" "));
            return Arguments.of(text, features, choice >>> bits.length == 1);
        });
    }

    @ParameterizedTest(name = "{0}, filter {2}")
    @MethodSource("combinations")
    void shouldAllocateNothingInAnyCombinationOfRingFeatures(
            final String name, final long features, final boolean filter) throws IOException {
        final String path = filter ? filter() : "a -> b";
        assertNoneAllocated(path, false, Guests.like(features), 30_000, 100_000, AllocationGateTest::bothWays);
    }

    private static Guests unfinished(final Rings rings, final Treatment treatment) {
        final Flow flow = new Flow(new Random(1), false, true, 1, 0);
        final byte[] payload = new byte[treatment == Treatment.COMPLETE_CSUM ? 1000 : 20_000];
        final byte[] header = treatment == Treatment.COMPLETE_CSUM ? NetHdr.csum(flow) : NetHdr.gso(flow, 1448);
        return new Guests(
                rings.features() | HOST_OFFLOADS,
                treatment == Treatment.PASS ? rings.features() | GUEST_OFFLOADS : rings.features(),
                header,
                flow.forDevice(payload));
    }

    static Stream<Arguments> treatments() {
        return Stream.of(Rings.values()).flatMap(rings -> Stream.of(Treatment.values())
                .flatMap(treatment -> Stream.of(false, true).map(filter -> Arguments.of(rings, treatment, filter))));
    }

    @ParameterizedTest(name = "{0}, {1}, filter {2}")
    @MethodSource("treatments")
    void shouldAllocateNothingForFramesThatTheirDriverLeftUnfinished(
            final Rings rings, final Treatment treatment, final boolean filter) throws IOException {
        final String path = filter ? filter() : "a -> b";
        assertNoneAllocated(path, false, unfinished(rings, treatment), 10_000, 30_000, AllocationGateTest::bothWays);
    }
}
