package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.gso.Flow;
import org.mypervisor.offload.host.PacketInterface;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;

/** Between interfaces of the host, too, the worker's thread allocates nothing at all. Interfaces need root. */
@Timeout(120)
final class InterfaceAllocationTest {
    private static final int MILLION = 1_000_000;
    private static final int FEWER = 30_000;
    private static final int WARM_UP = 50_000;
    private static final int BURST = 32;

    /** Frames under way; a tap's queue takes so many. */
    private static final int WINDOW = 256;

    private static final int NET_HDR_SIZE = 10;

    @TempDir
    private Path folder;

    private final String prefix = "mv" + ProcessHandle.current().pid();
    private final AtomicLong lost = new AtomicLong();

    @BeforeEach
    void needRoot() {
        assumeTrue("root".equals(System.getProperty("user.name")), "interfaces need root");
        assumeTrue(Files.exists(Path.of("/dev/net/tun")), "there is no /dev/net/tun");
        assumeTrue(run("ip", "link", "add", prefix + "probe", "type", "veth") == 0, "no interface can be made here");
        run("ip", "link", "del", prefix + "probe");
    }

    @AfterEach
    void removeInterfaces() {
        run("ip", "link", "del", prefix + "a");
        run("ip", "link", "del", prefix + "b");
    }

    private static int run(final String... command) {
        try {
            final Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return process.waitFor();
        } catch (final IOException | InterruptedException e) {
            return -1;
        }
    }

    /** The port's option. What is sent on the interface that is called as it, and "x", arrives there. */
    private String port(final String id, final String type, final String offloads) throws IOException {
        final String name = prefix + id;
        if (type.equals("tap")) {
            return "id=" + id + ",type=tap,ifname=" + name + ",offloads=" + offloads;
        }
        assertEquals(0, run("ip", "link", "add", name, "type", "veth", "peer", "name", name + "x"));
        for (final String end : new String[] {name, name + "x"}) {
            silence(end);
            assertEquals(0, run("ip", "link", "set", end, "up"));
        }
        final String port = "id=" + id + ",type=" + type + ",ifname=" + name;
        return type.equals("af_xdp") ? port : port + ",offloads=" + offloads;
    }

    /** Nothing but our frames may be counted. */
    private static void silence(final String name) throws IOException {
        final Path ipv6 = Path.of("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6");
        if (Files.exists(ipv6)) {
            Files.writeString(ipv6, "1");
        }
    }

    /** A host's program that sends one frame again and again. */
    private final class Sender implements AutoCloseable {
        private final PacketInterface netInterface;
        private final BufferQueue queue;
        private final FrameCopy copy = new FrameCopy();
        private final long memory;
        private final int length;
        private long sent;

        Sender(final String name, final byte[] header, final byte[] frame) throws IOException {
            netInterface = new PacketInterface(name, 1, true);
            netInterface.setLosses((bytes, gso, whole) -> lost.incrementAndGet());
            queue = netInterface.open().get(0).queue();
            length = NET_HDR_SIZE + frame.length;
            memory = RawMemory.allocate(length);
            for (int i = 0; i < length; i++) {
                RawMemory.putU8(memory + i, i < NET_HDR_SIZE ? header[i] : frame[i - NET_HDR_SIZE]);
            }
        }

        /** No more than the queues on the way can hold. */
        void send(final RunningBackend backend, final long before, final int frames) {
            final long end = sent + frames;
            while (sent < end) {
                final long taken = backend.port("a").received().packets() - before;
                final int room = (int) Math.min(Math.min(WINDOW - (sent - taken), BURST), end - sent);
                for (int i = 0; i < room; i++) {
                    final BufferList list = queue.newChain();
                    queue.append();
                    copy.begin(list);
                    copy.put(memory, length);
                    queue.complete(0, length);
                }
                queue.publish();
                sent += Math.max(room, 0);
            }
        }

        @Override
        public void close() {
            netInterface.close();
            RawMemory.free(memory, length);
        }
    }

    private void checkAllocation(
            final String from,
            final String to,
            final String offloads,
            final boolean busyPoll,
            final byte[] header,
            final byte[] frame,
            final String path,
            final int frames)
            throws IOException {
        final List<String> ports = List.of(port("a", from, "on"), port("b", to, offloads));
        try (RunningBackend backend = RunningBackend.withSpecs(folder, busyPoll, ports, List.of(path), List.of())) {
            for (final String id : List.of("a", "b")) {
                silence(prefix + id);
                RunningBackend.await(
                        id + " is up", () -> backend.port(id).state().equals("up"));
            }
            settle(backend);
            final long before = backend.port("a").received().packets();
            final long sentBefore = backend.port("b").sent().packets();
            try (Sender sender = new Sender(prefix + (from.equals("tap") ? "a" : "ax"), header, frame)) {
                sender.send(backend, before, WARM_UP);
                final long worker = RunningBackend.workerThreadId();
                Allocations.assertNone(worker, () -> {
                    sender.send(backend, before, frames);
                    RunningBackend.await(
                            "all are taken", () -> backend.port("a").received().packets() == before + sender.sent);
                });
                assertEquals(0, lost.get(), "the kernel took all");
                assertEquals(sentBefore + sender.sent, backend.port("b").sent().packets(), "and none was dropped");
            }
        }
    }

    /** What a new interface says by itself is over. */
    private static void settle(final RunningBackend backend) {
        final long[] before = {-1};
        RunningBackend.await("silence", () -> {
            final long now = backend.port("a").received().packets();
            final boolean silent = now == before[0];
            before[0] = now;
            try {
                Thread.sleep(100);
            } catch (final InterruptedException e) {
                throw new AssertionError(e);
            }
            return silent;
        });
    }

    private static byte[] udp() {
        final byte[] frame = new byte[60];
        frame[0] = 2;
        frame[12] = 8;
        frame[14] = 0x45;
        frame[17] = 46;
        frame[23] = 17;
        frame[26] = 10;
        frame[30] = 10;
        frame[37] = 53;
        return frame;
    }

    private String filter() throws IOException {
        final Path rules = Files.writeString(
                folder.resolve("acl.rules"),
                "deny tcp from any to any port 80\nallow udp from any to any port 53\ndefault allow\n");
        return "a -> filter(rules=" + rules + ") -> b";
    }

    @ParameterizedTest
    @ValueSource(strings = {"af_packet", "tap", "af_xdp"})
    void shouldAllocateNothingOverAMillionPackets(final String type) throws IOException {
        checkAllocation(type, type, "on", true, new byte[NET_HDR_SIZE], udp(), "a -> b", MILLION);
    }

    @ParameterizedTest
    @CsvSource({"af_packet, af_packet", "tap, tap", "af_packet, tap", "tap, af_packet", "af_xdp, af_xdp", "tap, af_xdp"
    })
    void shouldAllocateNothingWithAFilterInAdaptiveMode(final String from, final String to) throws IOException {
        checkAllocation(from, to, "on", false, new byte[NET_HDR_SIZE], udp(), filter(), FEWER);
    }

    /** Passed on as they are, or summed up by us. */
    @ParameterizedTest
    @CsvSource({
        "af_packet, af_packet, on",
        "af_packet, af_packet, off",
        "tap, tap, on",
        "tap, tap, off",
        "af_packet, af_xdp, off"
    })
    void shouldAllocateNothingForFramesWithoutChecksum(final String from, final String to, final String offloads)
            throws IOException {
        final Flow flow = new Flow(new Random(1), false, true, 1, 0);
        final byte[] header = java.util.Arrays.copyOf(NetHdr.csum(flow), NET_HDR_SIZE);
        checkAllocation(from, to, offloads, false, header, flow.forDevice(new byte[1000]), filter(), FEWER);
    }

    /** Passed on as they are, or cut by us. */
    @Test
    void shouldAllocateNothingForLongFrames() throws IOException {
        final Flow flow = new Flow(new Random(1), false, true, 1, 0);
        final byte[] header = java.util.Arrays.copyOf(NetHdr.gso(flow, 1400), NET_HDR_SIZE);
        for (final String offloads : List.of("on", "off")) {
            checkAllocation(
                    "af_packet", "tap", offloads, false, header, flow.forDevice(new byte[20_000]), filter(), FEWER / 3);
            removeInterfaces();
        }
        checkAllocation(
                "af_packet", "af_xdp", "off", false, header, flow.forDevice(new byte[20_000]), filter(), FEWER / 3);
    }
}
