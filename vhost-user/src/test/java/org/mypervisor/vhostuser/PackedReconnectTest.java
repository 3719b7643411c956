package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.driversim.Buffer;
import org.mypervisor.driversim.DriverQueue;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.PackedDriver;
import org.mypervisor.driversim.Virtio;

/** Bases of packed rings as QEMU and virtio-user send them, after a stop, a crash, and on a connection of its own. */
@Timeout(60)
class PackedReconnectTest {
    private static final long GPA = 0x120000;

    @TempDir
    Path folder;

    private static void give(final DriverQueue driver, final int chains, final boolean writable) {
        for (int i = 0; i < chains; i++) {
            driver.addOne(GPA, 64, writable);
        }
        driver.publish();
    }

    private static void collect(final DriverQueue driver, final int chains) {
        for (int i = 0; i < chains; i++) {
            assertTrue(driver.nextUsed());
        }
        assertFalse(driver.nextUsed());
    }

    /** GET_VRING_BASE answers both halves; what was not completed is done after the next start. */
    @Test
    void shouldGoOnAfterStopAtTheBaseItAnswered() {
        try (TestPort port = TestPort.running(folder, Virtio.LIKE_QEMU_PACKED)) {
            final DriverQueue transmitq = port.vrings[1];
            int done = 0;
            for (int lap = 0; lap < 30; lap++) {
                final int burst = 1 + lap % TestPort.PACKED_RING_SIZE;
                give(transmitq, burst, false);
                if (lap % 3 != 0) {
                    port.recorder.run(0);
                    done += burst;
                }
                final int[] bases = port.frontend.stop(port.vrings);
                assertEquals(0x8000_8000, bases[0]);
                assertEquals(port.baseAfter(done), bases[1]);
                port.frontend.startLikeQemu(port.memory, port.vrings);
                port.fence();
                assertTrue(port.recorder.takeEvents().contains("start 1 at " + bases[1]));
                if (lap % 3 == 0) {
                    assertEquals(burst, port.recorder.run(0));
                    done += burst;
                }
                collect(transmitq, burst);
            }
        }
    }

    /** QEMU restores the base of the last stop, if any; the ring says where to go on, with chains in any state. */
    @Test
    void shouldGoOnWhereTheRingSaysWhenQemuReconnects() {
        final Random random = new Random(3);
        try (TestPort port = TestPort.running(folder, Virtio.LIKE_QEMU_PACKED)) {
            final DriverQueue transmitq = port.vrings[1];
            int done = 0;
            for (int lap = 0; lap < 100; lap++) {
                if (lap == 50) {
                    port.frontend.stop(port.vrings);
                    port.frontend.startLikeQemu(port.memory, port.vrings);
                    port.fence();
                }
                final int before = random.nextInt(TestPort.PACKED_RING_SIZE + 1);
                give(transmitq, before, false);
                port.recorder.run(0);
                final int collected = random.nextInt(before + 1);
                for (int i = 0; i < collected; i++) {
                    assertTrue(transmitq.nextUsed());
                }
                final int waiting = random.nextInt(transmitq.freeDescriptors() + 1);
                give(transmitq, waiting, false);
                done += before;
                port.recorder.takeEvents();
                port.frontend.reconnectLikeQemu(port.memory, port.vrings);
                port.fence();
                final List<String> events = port.recorder.takeEvents();
                assertTrue(events.contains("start 1 at " + port.baseAfter(done)), lap + ": " + events);
                assertEquals(waiting, port.recorder.run(0));
                done += waiting;
                collect(transmitq, before - collected + waiting);
            }
        }
    }

    /** With indirect_desc=off a driver's chains have several descriptors, and are followed like the others. */
    @Test
    void shouldGoOnBehindChainsOfSeveralDescriptors() {
        try (TestPort port = TestPort.running(folder, Virtio.LIKE_QEMU_PACKED)) {
            final DriverQueue transmitq = port.vrings[1];
            int done = 0;
            for (int lap = 0; lap < 50; lap++) {
                final int length = 1 + lap % 3;
                for (int chain = 0; chain < 2; chain++) {
                    transmitq.add(java.util.Collections.nCopies(length, Buffer.readable(GPA, 64)));
                    transmitq.publish();
                    if (chain == 0) {
                        port.recorder.run(0);
                    }
                }
                done += length;
                port.recorder.takeEvents();
                port.frontend.reconnectLikeQemu(port.memory, port.vrings);
                port.fence();
                assertTrue(port.recorder.takeEvents().contains("start 1 at " + port.baseAfter(done)));
                assertEquals(1, port.recorder.run(0));
                done += length;
                collect(transmitq, 2);
            }
        }
    }

    /** Nobody can tell: one line in the log, the err descriptor, and the other ring runs. */
    @Test
    void shouldLeaveRingStoppedWhenItsIndexIsLost() {
        try (TestPort port = TestPort.running(folder, Virtio.LIKE_QEMU_PACKED)) {
            final PackedDriver transmitq = (PackedDriver) port.vrings[1];
            give(transmitq, 4, false);
            // The first buffer of a frame is shown last, and the device died before that.
            transmitq.ring().writeFlags(2, 0x8080);
            port.frontend.reconnectLikeQemu(port.memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.isStarted(0));
            assertFalse(port.recorder.isStarted(1));
            assertTrue(port.frontend.err(1).drain() > 0);
            // The driver is restarted: on the same connection, with a fresh ring.
            port.frontend.getVringBase(0);
            port.frontend.getVringBase(1);
            transmitq.reset();
            port.vrings[0].reset();
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.isStarted(1));
            port.assertRingsWork();
        }
    }

    /** virtio-user leaves the used half out: 0x8000 is index 0 in the first lap for both. */
    @Test
    void shouldTakeBaseOfSixteenBitsFromVirtioUser() {
        try (TestPort port = TestPort.listening(folder);
                GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(4 << 20)) {
            port.frontend.want(Virtio.LIKE_VIRTIO_USER_PACKED).connectLikeVirtioUser(1);
            port.layOutRings(memory);
            port.frontend.startLikeVirtioUser(memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.takeEvents().contains("start 1 at " + 0x8000_8000));
            assertEquals(Endpoint.State.UP, port.endpoint.state());
            final DriverQueue transmitq = port.vrings[1];
            final long gpa = memory.allocate(64, 64);
            for (int i = 0; i < 20; i++) {
                transmitq.addOne(gpa, 64, false);
                transmitq.publishAndKick();
                assertEquals(1, port.recorder.run(0));
                assertTrue(transmitq.nextUsed());
            }
            port.frontend.stopLikeVirtioUser(port.vrings);
            assertEquals(port.baseAfter(20), transmitq.base());
            port.awaitState(Endpoint.State.DOWN);
        }
    }

    /** A stop that says 16 bits of what we answered is understood like all 32. */
    @Test
    void shouldGoOnWithHalfOfTheBase() {
        try (TestPort port = TestPort.running(folder, Virtio.LIKE_QEMU_PACKED)) {
            final DriverQueue transmitq = port.vrings[1];
            give(transmitq, 5, false);
            port.recorder.run(0);
            collect(transmitq, 5);
            final int[] bases = port.frontend.stop(port.vrings);
            assertEquals(0x8005_8005, bases[1]);
            transmitq.setBase(bases[1] & 0xFFFF);
            port.frontend.startLikeQemu(port.memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.takeEvents().contains("start 1 at " + 0x8005_8005));
            port.assertRingsWork();
        }
    }

    /** virtio-user resets its packed rings and says 0x8000 again. */
    @Test
    void shouldBeginAnewWhenVirtioUserServesAndWeReconnect() {
        try (TestPort port = TestPort.connecting(folder);
                GuestMemoryFile memory = GuestMemoryFile.likeVirtioUser(4 << 20)) {
            port.frontend.setTimeout(Duration.ofSeconds(10));
            port.frontend.want(Virtio.LIKE_VIRTIO_USER_PACKED).connectLikeVirtioUser(1);
            port.layOutRings(memory);
            port.frontend.startLikeVirtioUser(memory, port.vrings);
            final DriverQueue transmitq = port.vrings[1];
            port.fence();
            final long gpa = memory.allocate(64, 64);
            for (int i = 0; i < 3; i++) {
                transmitq.addOne(gpa, 64, false);
            }
            transmitq.publish();
            port.recorder.run(0);
            port.recorder.takeEvents();
            port.frontend.reconnectLikeVirtioUser(memory, port.vrings);
            port.fence();
            assertTrue(port.recorder.takeEvents().contains("start 1 at " + 0x8000_8000));
            assertEquals(Endpoint.State.UP, port.endpoint.state());
            transmitq.addOne(gpa, 64, false);
            transmitq.publish();
            assertEquals(1, port.recorder.run(0));
            collect(transmitq, 1);
        }
    }
}
