package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The driver's rules for one ring, against the reference device on the same memory. */
final class SplitDriverTest {
    private static final int SIZE = 8;

    private final GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 1 << 20);
    private final SplitLayout layout = SplitLayout.allocate(memory, SIZE);
    private final long data = memory.allocate(65536, 4096);
    private SplitDriver driver;
    private SlowDevice device;

    private void open(final long features) {
        driver = new SplitDriver(memory, layout, features | mask(28));
        device = new SlowDevice(memory, layout, features | mask(28), 0);
    }

    @AfterEach
    void close() {
        driver.close();
        memory.close();
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1L << 29, 1L << 35, 1L << 29 | 1L << 35})
    void shouldCarryRandomChainsPastTheWrapOfTheIndices(final long features) {
        open(features);
        final Random random = new Random(7);
        final List<byte[]> sent = new ArrayList<>();
        int collected = 0;
        for (int i = 0; i < 70_000; i++) {
            final Framing framing = Framing.values()[random.nextInt(Framing.values().length)];
            final byte[] packet = NetDriverTest.randomFrame(random, 20 + random.nextInt(50));
            final List<Buffer> buffers = framing.cut(data + 128L * driver.nextHead(), 12, packet.length, SIZE, false);
            if (framing.ringDescriptors(buffers.size()) > driver.freeDescriptors()) {
                collected += serve(sent);
            }
            memory.write(buffers.get(0).gpa(), packet);
            framing.add(driver, buffers);
            driver.publish();
            sent.add(packet);
            if (driver.freeDescriptors() == 0 || random.nextInt(4) == 0) {
                collected += serve(sent);
            }
        }
        collected += serve(sent);
        assertEquals(70_000, collected);
        assertEquals(70_000 & 0xFFFF, driver.usedIdx());
        assertEquals(SIZE, driver.freeDescriptors());
    }

    private int serve(final List<byte[]> sent) {
        for (final byte[] packet : sent) {
            final SlowDevice.Taken chain = device.take();
            assertNull(chain.fault());
            assertArrayEquals(packet, device.read(chain));
            device.use(chain.head(), 0);
        }
        assertNull(device.take());
        sent.clear();
        device.publish();
        int collected = 0;
        while (driver.nextUsed()) {
            collected++;
        }
        return collected;
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1L << 29})
    void shouldKickOnlyWhenTheDeviceAsks(final long features) {
        open(features);
        device.enableKicks();
        driver.addOne(data, 10, false);
        assertTrue(driver.publishAndKick());
        assertEquals(1, driver.notifiers().kick().drain());
        device.suppressKicks();
        device.take();
        for (int i = 0; i < 3; i++) {
            driver.addOne(data, 10, false);
            assertFalse(driver.publishAndKick());
            device.take();
        }
        device.enableKicks();
        assertFalse(driver.kickIfNeeded());
        driver.addOne(data, 10, false);
        driver.addOne(data, 10, false);
        assertTrue(driver.publishAndKick());
        assertEquals(2, driver.kicks());
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1L << 29})
    void shouldBeCalledOnlyWhenItAsks(final long features) {
        open(features);
        driver.enableInterrupts();
        assertTrue(useOne());
        driver.disableInterrupts();
        assertFalse(useOne());
        assertFalse(useOne());
        assertTrue(driver.nextUsed());
        driver.enableInterrupts();
        assertTrue(driver.nextUsed());
        assertTrue(driver.nextUsed());
        driver.enableInterrupts();
        assertTrue(useOne());
    }

    private boolean useOne() {
        driver.addOne(data, 10, true);
        driver.publish();
        device.use(device.take().head(), 10);
        return device.publish();
    }

    @Test
    void shouldTellALostCallFromALateDevice() {
        open(0);
        driver.addOne(data, 10, true);
        driver.publish();
        final AssertionError late = assertThrows(AssertionError.class, () -> driver.awaitUsed(Duration.ofMillis(20)));
        assertTrue(late.getMessage().contains("for a used element"), late.getMessage());
        driver.notifiers().call().signal();
        final Thread forgetful = new Thread(() -> {
            VhostUserSocket.pause();
            VhostUserSocket.pause();
            device.use(device.take().head(), 10);
            device.publish();
        });
        forgetful.start();
        final AssertionError lost = assertThrows(AssertionError.class, () -> driver.awaitUsed(Duration.ofMillis(200)));
        assertTrue(lost.getMessage().contains("for a call"), lost.getMessage());
    }

    @Test
    void shouldTakeBackChainsUsedOutOfOrder() {
        open(0);
        final int first = driver.add(List.of(Buffer.readable(data, 1), Buffer.readable(data, 2)));
        final int second = driver.addOne(data, 100, true);
        driver.publish();
        device.take();
        device.take();
        device.use(second, 100);
        device.use(first, 0);
        device.publish();
        assertEquals(new UsedElement(second, 100), driver.pollUsed());
        assertEquals(SIZE - 2, driver.freeDescriptors());
        assertEquals(new UsedElement(first, 0), driver.pollUsed());
        assertEquals(SIZE, driver.freeDescriptors());
        assertNull(driver.pollUsed());
    }

    @Test
    void shouldTakeBackABatchByItsLastElementWhenInOrder() {
        open(mask(35));
        for (int i = 0; i < 5; i++) {
            assertEquals(i, driver.addOne(data, 100 + i, true));
        }
        driver.publish();
        // virtio 1.2 §2.7.9: one element with the last id at the first slot, and used.idx on by three.
        memory.putLe32(layout.usedGpa() + 4, 2);
        memory.putLe32(layout.usedGpa() + 8, 50);
        memory.putLe16Release(layout.usedGpa() + 2, 3);
        assertEquals(new UsedElement(0, 100), driver.pollUsed());
        assertEquals(new UsedElement(1, 101), driver.pollUsed());
        assertEquals(new UsedElement(2, 50), driver.pollUsed());
        assertNull(driver.pollUsed());
        assertEquals(2, driver.outstanding());
    }

    @Test
    void shouldNoticeABrokenUsedRing() {
        open(0);
        driver.addOne(data, 1, true);
        driver.publish();
        device.use(3, 0);
        device.publish();
        assertThrows(AssertionError.class, () -> driver.nextUsed());
        device.use(0, 0);
        device.publish();
        assertThrows(AssertionError.class, () -> driver.nextUsed());
    }

    @Test
    void shouldRefuseMoreThanTheRingHolds() {
        open(0);
        for (int i = 0; i < SIZE; i++) {
            assertEquals(i, driver.addOne(data, 1, false));
        }
        assertEquals(-1, driver.addOne(data, 1, false));
        assertThrows(IllegalStateException.class, () -> driver.add(List.of(Buffer.readable(data, 1))));
        assertThrows(IllegalStateException.class, () -> driver.nextHead());
        driver.reset();
        assertEquals(SIZE, driver.freeDescriptors());
    }
}
