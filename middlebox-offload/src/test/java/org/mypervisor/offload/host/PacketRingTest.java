package org.mypervisor.offload.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;
import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;
import org.mypervisor.virtqueue.RingFault;
import org.mypervisor.virtqueue.RunningQueue;

/** What comes out of the ring of a packet socket: each slot's own frame or none. Interfaces need root. */
@Timeout(60)
final class PacketRingTest {
    private static final int NET_HDR_SIZE = 10;

    /** Of Ethernet, IPv4 and TCP. */
    private static final int HEADERS = 54;

    /** Longer than a slot. */
    private static final int LONG = 5000;

    private static final int SHORT = 100;
    private static final int MEMORY = 1 << 16;

    private static final int SOL_SOCKET = 1;
    private static final int SO_RCVBUF = 8;

    private final String name = "mr" + ProcessHandle.current().pid();
    private final PacketInterface sender = new PacketInterface(name + "x", 1, true);
    private final PacketInterface receiver = new PacketInterface(name, 1, true);
    private final long memory = RawMemory.allocate(MEMORY);
    private BufferQueue sending;
    private BufferQueue ring;
    private int socket;

    @BeforeEach
    void makeInterfaces() throws IOException {
        assumeTrue("root".equals(System.getProperty("user.name")), "interfaces need root");
        assumeTrue(
                ip("link", "add", name, "type", "veth", "peer", "name", name + "x") == 0,
                "no interface can be made here");
        for (final String end : new String[] {name, name + "x"}) {
            final Path ipv6 = Path.of("/proc/sys/net/ipv6/conf/" + end + "/disable_ipv6");
            if (Files.exists(ipv6)) {
                Files.writeString(ipv6, "1");
            }
            assertEquals(0, ip("link", "set", end, "up"));
        }
        awaitCarrier();
        sender.setLosses((bytes, gso, whole) -> {
            throw new AssertionError("the kernel refused a frame");
        });
        receiver.setLosses((bytes, gso, whole) -> {});
        sending = sender.open().get(0).queue();
        final RunningQueue received = receiver.open().get(1);
        ring = received.queue();
        socket = received.kickFd();
    }

    @AfterEach
    void removeInterfaces() {
        sender.close();
        receiver.close();
        ip("link", "del", name);
        RawMemory.free(memory, MEMORY);
    }

    private static int ip(final String... arguments) {
        final List<String> command = new ArrayList<>(List.of("ip"));
        command.addAll(List.of(arguments));
        try {
            final Process process =
                    new ProcessBuilder(command).redirectErrorStream(true).start();
            new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
            return process.waitFor();
        } catch (final IOException | InterruptedException e) {
            return -1;
        }
    }

    /** A TCP frame, to be segmented when it is long; its last byte is the mark. */
    private void send(final int length, final int mark) {
        for (int i = 0; i < NET_HDR_SIZE + length; i++) {
            RawMemory.putU8(memory + i, 0);
        }
        if (length > SHORT) {
            RawMemory.putLe32(memory, 0x0036_0101);
            RawMemory.putLe32(memory + 4, 34 << 16 | 1400);
            RawMemory.putLe16(memory + 8, 16);
        }
        final long frame = memory + NET_HDR_SIZE;
        RawMemory.putU8(frame, 2);
        RawMemory.putU8(frame + 6, 2);
        RawMemory.putU8(frame + 12, 8);
        RawMemory.putU8(frame + 14, 0x45);
        RawMemory.putU8(frame + 16, length - 14 >> 8);
        RawMemory.putU8(frame + 17, length - 14 & 0xFF);
        RawMemory.putU8(frame + 22, 64);
        RawMemory.putU8(frame + 23, 6);
        RawMemory.putU8(frame + 46, 0x50);
        RawMemory.putU8(frame + length - 1, mark);
        final BufferList list = sending.newChain();
        sending.append();
        list.gather(memory, NET_HDR_SIZE + length);
        sending.complete(0, NET_HDR_SIZE + length);
        sending.publish();
    }

    private static void await(final String what, final BooleanSupplier condition) {
        final long deadline = System.nanoTime() + Duration.ofSeconds(5).toNanos();
        while (!condition.getAsBoolean()) {
            assertTrue(System.nanoTime() < deadline, () -> "waited in vain: " + what);
            Thread.onSpinWait();
        }
    }

    /** Until then, which may be a second, the kernel throws away what is sent. */
    private void awaitCarrier() {
        await("a carrier", () -> {
            try {
                return Files.readString(Path.of("/sys/class/net/" + name + "x/operstate"))
                        .startsWith("up");
            } catch (final IOException e) {
                throw new AssertionError(e);
            }
        });
        // Waits for the kernel's lock, so for what goes with the new state.
        assertEquals(0, ip("link", "set", name + "x", "up"));
    }

    /** The marks of so many frames, as one turn after the other takes them. */
    private List<Integer> take(final int count) {
        final List<Integer> marks = new ArrayList<>();
        await(count + " frames", () -> {
            if (ring.available(32) != 0) {
                final BufferList list = ring.newChain();
                final int token = ring.append();
                assertTrue(token >= 0, "a frame that cannot be taken");
                marks.add(RawMemory.u8(list.pieceAddress(0) + list.bytes() - 1));
                ring.complete(token, 0);
                ring.publish();
            }
            return marks.size() == count;
        });
        return marks;
    }

    /** Takes a long frame behind the ring's back. */
    private void steal() {
        await("a frame", () -> LIBC.read(socket, memory, MEMORY) > 0);
    }

    @Test
    void shouldGiveEachSlotItsFrame() {
        for (int i = 1; i <= 6; i++) {
            send(i % 3 == 0 ? SHORT : LONG + i, i);
        }
        assertEquals(List.of(1, 2, 3, 4, 5, 6), take(6));
    }

    /** The socket says so once, by a read that takes no frame. */
    @Test
    void shouldStayInStepWhenItsInterfaceWasDown() {
        send(LONG, 1);
        assertEquals(List.of(1), take(1));
        for (int i = 2; i <= 4; i++) {
            assertEquals(0, ip("link", "set", name, "down"));
            assertEquals(0, ip("link", "set", name, "up"));
            awaitCarrier();
            send(LONG, i);
            send(LONG, 10 * i);
            assertEquals(List.of(i, 10 * i), take(2));
        }
        assertEquals(null, ring.fault());
    }

    /** Those behind them are taken as ever, and the slots are the kernel's again. */
    @Test
    void shouldMissFramesForWhichTheSocketHasNoRoom() {
        RawMemory.putLe32(memory, 0);
        assertEquals(0, LIBC.setsockopt(socket, SOL_SOCKET, SO_RCVBUF, memory, Integer.BYTES));
        for (int i = 0; i < 2000; i++) {
            send(LONG, 1);
            send(LONG, 2);
            send(SHORT, 3);
            send(LONG, 4);
            assertEquals(List.of(1, 3), take(2));
        }
        final long[] missed = {0};
        await("all to be missed", () -> {
            assertEquals(0, ring.available(32));
            missed[0] += receiver.takeMissed();
            return missed[0] == 4000;
        });
    }

    @Test
    void shouldBreakWhenTheNextFrameIsOfAnotherLength() {
        send(LONG, 1);
        send(LONG + 1, 2);
        send(SHORT, 3);
        steal();
        await("a fault", () -> ring.available(32) == 0 && ring.fault() != null);
        assertEquals(RingFault.OUT_OF_STEP, ring.fault());
        assertEquals(BufferQueue.NONE, ring.append());
    }

    @Test
    void shouldBreakWhenThereIsNoFrame() {
        send(SHORT, 1);
        send(LONG, 2);
        steal();
        await("a fault", () -> ring.available(32) == 0 && ring.fault() != null);
        assertEquals(RingFault.OUT_OF_STEP, ring.fault());
    }
}
