package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

@SuppressWarnings("try") // The back-end works by being there.
final class NetPumpTest {
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @TempDir
    private Path folder;

    @ParameterizedTest
    @CsvSource({"2048, false", "64, false", "2048, true", "64, true"})
    void shouldLoopEveryFrameWhenPumped(final int receiveBufferSize, final boolean packed) throws IOException {
        final long features = packed ? Virtio.LIKE_QEMU_PACKED : Virtio.LIKE_QEMU;
        final NetOptions options = NetOptions.defaults().withReceiveBufferSize(receiveBufferSize);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), features, options)) {
            final NetPump pump = new NetPump(net, new byte[100]);
            final long deadline = System.nanoTime() + 20_000_000_000L;
            while (pump.received() < 5000 && System.nanoTime() < deadline) {
                if (pump.transmitted() < 5000) {
                    pump.transmitBurst(8);
                }
                pump.receiveBurst(64);
            }
            pump.transmitBurst(0);
            assertEquals(pump.transmitted(), pump.received());
            assertEquals(100 * pump.received(), pump.receivedBytes());
            assertEquals(pump.transmitted(), pump.completed());
        }
    }

    /** The device is played in the same thread with what allocates nothing: this is the driver's own cost. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldNotAllocateWhenPumping(final boolean packed) throws IOException {
        final long features = mask(15, 30, 32) | (packed ? mask(34) : 0);
        try (FakeBackend backend = FakeBackend.listening(folder.resolve("s"));
                NetDriver net = NetDriver.launchLikeQemu(folder.resolve("s"), features, NetOptions.defaults())) {
            net.stop();
            final NetPump pump = new NetPump(net, new byte[60]);
            final Runnable device = packed ? new PackedMirror(net)::turn : new MirrorDevice(net)::turn;
            for (int i = 0; i < 20_000; i++) {
                pump.pump(32);
                device.run();
            }
            final long bytesBefore = THREADS.getCurrentThreadAllocatedBytes();
            final long framesBefore = pump.received();
            for (int i = 0; i < 30_000; i++) {
                pump.pump(32);
                device.run();
            }
            final long allocated = THREADS.getCurrentThreadAllocatedBytes() - bytesBefore;
            final long frames = pump.received() - framesBefore;
            assertEquals(30_000 * 32, frames);
            assertTrue(allocated < 4096, allocated + " bytes allocated for " + frames + " frames");
        }
    }

    /** Uses every transmit chain and as many receive buffers, by raw bytes; asks for a kick each time. */
    private static final class MirrorDevice {
        private final GuestMemory memory;
        private final SplitLayout transmit;
        private final SplitLayout receive;
        private int transmitIdx;
        private int receiveIdx;

        MirrorDevice(final NetDriver net) {
            memory = net.memory();
            transmit = net.splitTransmitq().layout();
            receive = net.splitReceiveq().layout();
            transmitIdx = net.splitTransmitq().usedIdx();
            receiveIdx = net.splitReceiveq().usedIdx();
        }

        void turn() {
            final int available = memory.le16Acquire(transmit.availGpa() + 2);
            while (transmitIdx != available) {
                use(transmit, transmitIdx, 0);
                transmitIdx = transmitIdx + 1 & 0xFFFF;
                final int head = use(receive, receiveIdx, 72);
                memory.putLe16(memory.le64(receive.descGpa() + 16L * head) + 10, 1);
                receiveIdx = receiveIdx + 1 & 0xFFFF;
            }
            memory.putLe16Release(transmit.usedGpa() + 2, transmitIdx);
            memory.putLe16Release(receive.usedGpa() + 2, receiveIdx);
        }

        private int use(final SplitLayout ring, final int index, final int length) {
            final int slot = index & ring.size() - 1;
            final int head = memory.le16(ring.availGpa() + 4 + 2L * slot);
            memory.putLe32(ring.usedGpa() + 4 + 8L * slot, head);
            memory.putLe32(ring.usedGpa() + 8 + 8L * slot, length);
            return head;
        }
    }

    /** As {@link MirrorDevice}, on packed rings whose chains are all of one descriptor. */
    private static final class PackedMirror {
        private final GuestMemory memory;
        private final PackedLayout transmit;
        private final PackedLayout receive;
        private int transmitSlot;
        private int receiveSlot;
        private boolean transmitWrap = true;
        private boolean receiveWrap = true;

        PackedMirror(final NetDriver net) {
            memory = net.memory();
            transmit = (PackedLayout) net.transmitq().layout();
            receive = (PackedLayout) net.receiveq().layout();
        }

        void turn() {
            while (memory.le16Acquire(transmit.descGpa(transmitSlot) + 14) == (transmitWrap ? 0x80 : 0x8000)) {
                memory.putLe32(transmit.descGpa(transmitSlot) + 8, 0);
                memory.putLe16Release(transmit.descGpa(transmitSlot) + 14, transmitWrap ? 0x8080 : 0);
                transmitSlot = (transmitSlot + 1) % transmit.size();
                transmitWrap ^= transmitSlot == 0;
                memory.putLe16(memory.le64(receive.descGpa(receiveSlot)) + 10, 1);
                memory.putLe32(receive.descGpa(receiveSlot) + 8, 72);
                memory.putLe16Release(receive.descGpa(receiveSlot) + 14, receiveWrap ? 0x8082 : 2);
                receiveSlot = (receiveSlot + 1) % receive.size();
                receiveWrap ^= receiveSlot == 0;
            }
        }
    }
}
