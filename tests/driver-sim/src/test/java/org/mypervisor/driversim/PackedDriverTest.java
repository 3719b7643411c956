package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.mypervisor.driversim.Virtio.mask;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The driver's rules for one packed ring, against the reference device on the same memory. */
final class PackedDriverTest {
    private static final int CHAINS = 20_000;

    private final GuestMemoryFile memory = GuestMemoryFile.ofGpas(0, 1 << 20);
    private final long data = memory.allocate(65536, 4096);
    private PackedLayout layout;
    private PackedDriver driver;
    private SlowPackedDevice device;

    private void open(final int size, final long features) {
        layout = PackedLayout.allocate(memory, size);
        driver = new PackedDriver(memory, layout, features | mask(28));
        device = new SlowPackedDevice(memory, layout, features | mask(28), driver.base());
    }

    @AfterEach
    void close() {
        driver.close();
        memory.close();
    }

    static Stream<Arguments> sizesAndFeatures() {
        return Stream.of(1, 2, 3, 7, 8, 100).flatMap(size -> Stream.of(0L, mask(29), mask(35), mask(29, 35))
                .map(features -> Arguments.of(size, features)));
    }

    @ParameterizedTest
    @MethodSource("sizesAndFeatures")
    void shouldCarryRandomChainsOverTheEndOfTheRing(final int size, final long features) {
        open(size, features);
        final boolean inOrder = Virtio.has(features, 35);
        final Random random = new Random(size);
        final Deque<byte[]> sent = new ArrayDeque<>();
        final List<SlowQueue.Taken> taken = new ArrayList<>();
        int collected = 0;
        for (int i = 0; i < CHAINS; i++) {
            final byte[] packet = NetDriverTest.randomFrame(random, 20 + random.nextInt(50));
            final boolean indirect = random.nextInt(4) == 0;
            final int pieces = indirect ? 1 : 1 + random.nextInt(Math.min(size, 5));
            while (driver.freeDescriptors() < pieces) {
                driver.publish();
                collected += serve(sent, taken, inOrder ? null : random);
            }
            final long gpa = data + 128L * driver.nextHead();
            memory.write(gpa, packet);
            final List<Buffer> buffers = cut(gpa, packet.length, indirect ? Math.min(size, 3) : pieces);
            final int head = indirect ? driver.addIndirect(buffers) : driver.add(buffers);
            assertTrue(head < size);
            sent.add(packet);
        }
        driver.publish();
        while (driver.outstanding() > 0) {
            collected += serve(sent, taken, inOrder ? null : random);
        }
        assertEquals(CHAINS, collected);
        assertEquals(size, driver.freeDescriptors());
        assertEquals(driver.position().encode(), device.base());
    }

    /** Takes all, gives some back; in random order if there is a generator. */
    private int serve(final Deque<byte[]> sent, final List<SlowQueue.Taken> taken, final Random random) {
        for (SlowQueue.Taken chain = device.take(); chain != null; chain = device.take()) {
            assertNull(chain.fault());
            assertArrayEquals(sent.remove(), device.read(chain));
            taken.add(chain);
        }
        final int give = random == null ? taken.size() : 1 + random.nextInt(taken.size());
        for (int i = 0; i < give; i++) {
            device.use(
                    taken.remove(random == null ? 0 : random.nextInt(taken.size()))
                            .head(),
                    0);
        }
        assertEquals(0, driver.usedWaiting());
        device.publish();
        assertEquals(give, driver.usedWaiting());
        int collected = 0;
        while (driver.nextUsed()) {
            collected++;
        }
        assertEquals(give, collected);
        return collected;
    }

    private static List<Buffer> cut(final long gpa, final int length, final int pieces) {
        final List<Buffer> buffers = new ArrayList<>();
        for (int i = 0; i < pieces; i++) {
            buffers.add(Buffer.readable(gpa + i, i + 1 < pieces ? 1 : length - i));
        }
        return buffers;
    }

    @Test
    void shouldGoRoundTheLargestRing() {
        open(32768, mask(29));
        for (int i = 0; i < 3 * 32768; i++) {
            device.enableKicks();
            driver.enableInterrupts();
            driver.addOne(data, 5, true);
            assertTrue(driver.publishAndKick());
            device.use(device.take().head(), 5);
            assertTrue(device.publish());
            assertTrue(driver.nextUsed());
        }
        assertEquals(new PackedBase(0, false, 0, false), driver.position());
        assertEquals(driver.position().encode(), device.base());
    }

    @Test
    void shouldHandOutTheIdFreedLast() {
        open(4, 0);
        assertEquals(0, driver.addOne(data, 1, true));
        assertEquals(1, driver.addOne(data, 1, true));
        assertEquals(2, driver.addOne(data, 1, true));
        driver.publish();
        for (int i = 0; i < 3; i++) {
            device.take();
        }
        device.use(1, 1);
        device.use(0, 1);
        device.publish();
        assertEquals(new UsedElement(1, 1), driver.pollUsed());
        assertEquals(new UsedElement(0, 1), driver.pollUsed());
        assertNull(driver.pollUsed());
        assertEquals(0, driver.nextHead());
        assertEquals(0, driver.addOne(data, 1, false));
        assertEquals(1, driver.addOne(data, 1, false));
        assertEquals(3, driver.addOne(data, 1, false));
        assertEquals(-1, driver.addOne(data, 1, false));
        assertThrows(IllegalStateException.class, () -> driver.nextHead());
        assertThrows(IllegalStateException.class, () -> driver.add(List.of(Buffer.readable(data, 1))));
    }

    @Test
    void shouldTakeBackABatchByItsLastBufferWhenInOrder() {
        open(5, mask(35));
        assertEquals(0, driver.add(List.of(Buffer.writable(data, 60), Buffer.writable(data, 40))));
        assertEquals(2, driver.addOne(data, 101, true));
        assertEquals(3, driver.addOne(data, 102, true));
        assertEquals(4, driver.addOne(data, 103, true));
        driver.publish();
        useRaw(0, 3, 50, 0x8082);
        assertEquals(3, driver.usedWaiting());
        assertEquals(new UsedElement(0, 100), driver.pollUsed());
        assertEquals(2, driver.usedWaiting());
        assertEquals(new UsedElement(2, 101), driver.pollUsed());
        assertEquals(new UsedElement(3, 50), driver.pollUsed());
        assertNull(driver.pollUsed());
        assertEquals(0, driver.addOne(data, 1, true));
        useRaw(4, 4, 1, 0x8082);
        assertEquals(new UsedElement(4, 1), driver.pollUsed());
        assertNull(driver.pollUsed());
    }

    private void useRaw(final int slot, final int id, final long length, final int flags) {
        final long at = layout.descGpa() + 16L * slot;
        memory.putLe32(at + 8, length);
        memory.putLe16(at + 12, id);
        memory.putLe16Release(at + 14, flags);
    }

    @Test
    void shouldNoticeADeviceThatBreaksTheRules() {
        open(4, 0);
        driver.addOne(data, 100, true);
        driver.publish();
        for (final int[] idLengthFlags :
                new int[][] {{1, 0, 0x8080}, {4, 0, 0x8080}, {0xFFFF, 0, 0x8080}, {0, 101, 0x8082}, {0, 1, 0x8080}}) {
            useRaw(0, idLengthFlags[0], idLengthFlags[1], idLengthFlags[2]);
            assertThrows(AssertionError.class, () -> driver.nextUsed(), Arrays.toString(idLengthFlags));
        }
        useRaw(0, 0, 100, 0x8082);
        assertEquals(new UsedElement(0, 100), driver.pollUsed());
        useRaw(1, 0, 0, 0x8080);
        assertThrows(AssertionError.class, () -> driver.nextUsed());
    }

    @Test
    void shouldShowNothingOfABurstBeforeItIsPublished() {
        open(8, 0);
        driver.add(List.of(Buffer.readable(data, 1), Buffer.readable(data, 2)));
        driver.addOne(data, 3, false);
        assertFalse(device.hasAvailable());
        assertEquals(0, driver.ring().flags(0));
        driver.publish();
        assertEquals(2, device.take().readable().size());
        assertEquals(1, device.take().readable().size());
        assertNull(device.take());
    }

    @Test
    void shouldGiveChainsBackToBeTakenAgain() {
        open(3, 0);
        for (int i = 0; i < 10; i++) {
            driver.add(List.of(Buffer.readable(data, 1), Buffer.readable(data, 2)));
            driver.addOne(data, 3, false);
            driver.publish();
            final List<SlowQueue.Taken> first = List.of(device.take(), device.take());
            device.giveBack(2);
            assertEquals(first, List.of(device.take(), device.take()));
            device.giveBack(1);
            device.use(first.get(0).head(), 0);
            device.publish();
            assertTrue(driver.nextUsed());
            device.use(device.take().head(), 0);
            device.publish();
            assertTrue(driver.nextUsed());
        }
    }

    @Test
    void shouldRefuseATableBehindPlainDescriptors() {
        open(4, 0);
        final List<Buffer> one = List.of(Buffer.readable(data, 1));
        assertThrows(IllegalArgumentException.class, () -> driver.add(one, one));
    }

    @Test
    void shouldBeginAnewAfterAReset() {
        open(3, 0);
        for (int i = 0; i < 5; i++) {
            driver.addOne(data, 10, true);
            driver.publish();
            device.use(device.take().head(), 10);
            device.publish();
            assertTrue(driver.nextUsed());
        }
        driver.setBase(device.base());
        assertEquals(0x0002_0002, driver.base());
        assertEquals(0x0002_0002, driver.baseAfterCrash());
        driver.addOne(data, 1, true);
        driver.reset();
        assertEquals(0x8000_8000, driver.base());
        assertEquals(0x8000_8000, driver.position().encode());
        assertEquals(3, driver.freeDescriptors());
        driver.publish();
        device = new SlowPackedDevice(memory, layout, 0, driver.base());
        assertNull(device.take());
        assertThrows(AssertionError.class, () -> driver.setBase(0x8000_8003));
        assertThrows(AssertionError.class, () -> driver.setBase(0x8003_8000));
    }
}
