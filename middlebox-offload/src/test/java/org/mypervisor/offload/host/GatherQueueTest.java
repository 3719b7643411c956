package org.mypervisor.offload.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.RawMemory;

/** What reaches the kernel, and in how many pieces. */
final class GatherQueueTest {
    private static final int HEADER = 10;
    private static final int GSO_TYPE = 1;
    private static final int HDR_LEN = 2;
    private static final int IOV_MAX = 1024;

    /** Copied at most, above that referred to. */
    private static final int SHORT = 512;

    private static final int MEMORY = 1 << 20;

    private final long memory = RawMemory.allocate(MEMORY);
    private final Random random = new Random(7);
    private final List<String> lost = new ArrayList<>();
    private final Recorder queue = new Recorder(
            (bytes, gso, whole) -> lost.add(bytes + (gso ? " gso" : "") + (whole ? " whole" : " segment")));

    GatherQueueTest() {
        for (int i = 0; i < MEMORY; i++) {
            RawMemory.putU8(memory + i, random.nextInt(256));
        }
        // Of every header that is made below: neither GSO nor a hint.
        RawMemory.putLe64(memory, 0);
    }

    @AfterEach
    void free() {
        queue.free();
        RawMemory.free(memory, MEMORY);
    }

    /** Takes what the kernel would take. */
    private static final class Recorder extends GatherQueue {
        private final long[] iovec = new long[FRAMES];
        private final int[] count = new int[FRAMES];
        private final List<byte[]> sent = new ArrayList<>();
        private final List<List<Long>> addresses = new ArrayList<>();
        /** How many a call takes, and how many frames from now on are refused. */
        private int most = FRAMES;

        private int refused;

        Recorder(final Losses losses) {
            super(0, losses);
        }

        @Override
        void put(final int slot, final long newIovec, final int pieces) {
            iovec[slot] = newIovec;
            count[slot] = pieces;
        }

        @Override
        int send(final int first, final int frames) {
            if (refused > 0) {
                refused--;
                return 0;
            }
            final int taken = Math.min(most, frames);
            for (int i = first; i < first + taken; i++) {
                record(iovec[i], count[i]);
            }
            return taken;
        }

        private void record(final long pieces, final int number) {
            assertTrue(number <= IOV_MAX, "pieces: " + number);
            byte[] bytes = {};
            final List<Long> starts = new ArrayList<>();
            for (int i = 0; i < number; i++) {
                final long address = RawMemory.le64(pieces + i * 16L);
                final int length = (int) RawMemory.le64(pieces + i * 16L + 8);
                final int before = bytes.length;
                bytes = Arrays.copyOf(bytes, before + length);
                for (int j = 0; j < length; j++) {
                    bytes[before + j] = (byte) RawMemory.u8(address + j);
                }
                starts.add(address);
            }
            sent.add(bytes);
            addresses.add(starts);
        }
    }

    /** A piece of the test's memory. */
    private record Piece(int at, int length) {}

    private static Piece header() {
        return new Piece(0, HEADER);
    }

    private static List<Piece> frame(final Piece... payload) {
        final List<Piece> pieces = new ArrayList<>(List.of(header()));
        pieces.addAll(List.of(payload));
        return pieces;
    }

    private void gather(final List<Piece> pieces) {
        final BufferList list = queue.newChain();
        assertTrue(queue.append() >= 0, "there is room at any time");
        for (final Piece piece : pieces) {
            assertTrue(list.gather(memory + piece.at(), piece.length()));
        }
    }

    private void add(final List<Piece> pieces) {
        gather(pieces);
        queue.complete(0, pieces.stream().mapToInt(Piece::length).sum());
    }

    private byte[] bytes(final List<Piece> pieces) {
        final byte[] bytes = new byte[pieces.stream().mapToInt(Piece::length).sum()];
        int at = 0;
        for (final Piece piece : pieces) {
            for (int i = 0; i < piece.length(); i++) {
                bytes[at++] = (byte) RawMemory.u8(memory + piece.at() + i);
            }
        }
        return bytes;
    }

    /** So many pieces of which no two are neighbours. */
    private static List<Piece> scattered(final int count, final int length) {
        final List<Piece> pieces = frame();
        for (int i = 0; i < count; i++) {
            pieces.add(new Piece(1000 + i * (length + 1), length));
        }
        return pieces;
    }

    @Test
    void shouldCopyShortPiecesIntoOne() {
        final List<Piece> frame = frame(new Piece(100, 128), new Piece(900, 1), new Piece(5000, SHORT));
        final byte[] expected = bytes(frame);
        add(frame);
        RawMemory.putU8(memory + 5000, ~RawMemory.u8(memory + 5000));
        queue.publish();
        assertArrayEquals(expected, queue.sent.get(0));
        assertEquals(1, queue.addresses.get(0).size());
    }

    @Test
    void shouldReferToLongPieces() {
        final List<Piece> frame = frame(new Piece(100, 128), new Piece(5000, SHORT + 1));
        add(frame);
        RawMemory.putU8(memory + 5000, ~RawMemory.u8(memory + 5000));
        queue.publish();
        assertArrayEquals(bytes(frame), queue.sent.get(0));
        assertEquals(memory + 5000, queue.addresses.get(0).get(1));
    }

    @Test
    void shouldJoinNeighbours() {
        final List<Piece> frame = frame(new Piece(5000, 2000), new Piece(7000, 1500), new Piece(9000, 600));
        add(frame);
        queue.publish();
        assertArrayEquals(bytes(frame), queue.sent.get(0));
        assertEquals(
                List.of(memory + 5000, memory + 9000), queue.addresses.get(0).subList(1, 3));
        assertEquals(3, queue.addresses.get(0).size());
    }

    /** The end of a frame and the start of the next one may lie side by side: they are two all the same. */
    @Test
    void shouldNotJoinFrames() {
        add(frame(new Piece(5000, 2000)));
        add(List.of(new Piece(7000, 2000)));
        queue.publish();
        assertEquals(
                List.of(HEADER + 2000, 2000),
                queue.sent.stream().map(sent -> sent.length).toList());
    }

    @Test
    void shouldTakeAFrameOfMorePiecesThanTheKernelDoes() {
        for (final int count : new int[] {1000, 1022, 1023, 1024, 1090, 5000}) {
            final List<Piece> frame = scattered(count, 13);
            add(frame);
            queue.publish();
            assertArrayEquals(bytes(frame), queue.sent.get(queue.sent.size() - 1), count + " pieces");
        }
        assertEquals(List.of(), lost);
    }

    /** Where there is room for the rest of one such frame only. */
    @Test
    void shouldTakeManySuchFramesInOneTurn() {
        final List<Piece> frame = scattered(5000, 13);
        for (int i = 0; i < 10; i++) {
            add(frame);
        }
        queue.publish();
        assertEquals(10, queue.sent.size());
        queue.sent.forEach(sent -> assertArrayEquals(bytes(frame), sent));
    }

    /** A page that is gone breaks a frame off wherever it is: the next one finds all the room again. */
    @Test
    void shouldBeginAnewAfterAFrameThatWasBrokenOff() {
        final List<Piece> frame = scattered(5000, 13);
        add(frame);
        gather(scattered(4900, 13));
        gather(scattered(4900, 13));
        add(frame);
        queue.publish();
        final long rest = queue.addresses.get(0).get(queue.addresses.get(0).size() - 1);
        assertEquals(2, queue.sent.size());
        for (int i = 0; i < 2; i++) {
            assertArrayEquals(bytes(frame), queue.sent.get(i));
            assertEquals(rest, queue.addresses.get(i).get(queue.addresses.get(i).size() - 1), "where its rest lies");
        }
    }

    @Test
    void shouldSendByItselfWhenItHasTheFramesOfTwoTurns() {
        for (int i = 0; i < GatherQueue.FRAMES; i++) {
            add(frame(new Piece(100 + i, 60)));
        }
        assertEquals(0, queue.sent.size());
        add(frame(new Piece(1000, 60)));
        assertEquals(GatherQueue.FRAMES, queue.sent.size());
        queue.publish();
        assertEquals(GatherQueue.FRAMES + 1, queue.sent.size());
        for (int i = 0; i < GatherQueue.FRAMES; i++) {
            assertArrayEquals(bytes(frame(new Piece(100 + i, 60))), queue.sent.get(i));
        }
    }

    @Test
    void shouldSendByItselfBeforeItsListsAreFull() {
        final List<Piece> frame = scattered(1020, 60);
        for (int i = 0; i < 20; i++) {
            add(frame);
        }
        queue.publish();
        assertEquals(20, queue.sent.size());
        queue.sent.forEach(sent -> assertArrayEquals(bytes(frame), sent));
    }

    @Test
    void shouldSendNothingTwice() {
        add(frame(new Piece(100, 60)));
        queue.publish();
        queue.publish();
        queue.detach(true);
        assertEquals(1, queue.sent.size());
    }

    @Test
    void shouldGoOnBehindFramesThatTheKernelRefuses() {
        queue.most = 3;
        for (int i = 0; i < 10; i++) {
            add(frame(new Piece(100 + i, 60 + i)));
        }
        queue.refused = 2;
        queue.publish();
        assertEquals(List.of("60 whole", "61 whole"), lost);
        assertEquals(8, queue.sent.size());
        assertArrayEquals(bytes(frame(new Piece(102, 62))), queue.sent.get(0));
    }

    /** Who counts has to know what was counted before: of segments only the frame as a whole. */
    @Test
    void shouldTellLostSegmentsFromLostFrames() {
        add(frame(new Piece(100, 60)));
        queue.refused = 1;
        queue.detach(true);
        add(frame(new Piece(100, 61)));
        queue.refused = 1;
        queue.detach(false);
        RawMemory.putU8(memory + GSO_TYPE, 1);
        add(frame(new Piece(100, 62)));
        queue.refused = 1;
        queue.publish();
        assertEquals(List.of("60 whole", "61 segment", "62 gso whole"), lost);
    }

    /** Before that they are not counted as sent, and nothing can be taken off. */
    @Test
    void shouldTellLossesWhenItPublishes() {
        add(frame(new Piece(100, 60)));
        queue.refused = 1;
        queue.detach(true);
        assertEquals(List.of(), lost);
        queue.publish();
        assertEquals(List.of("60 whole"), lost);
        for (int i = 0; i < 1000; i++) {
            add(frame(new Piece(100, 60)));
            queue.refused = 1;
            queue.detach(false);
        }
        queue.publish();
        assertEquals(1001, lost.size());
    }

    /** A driver's hint that says more than there is would make the kernel refuse the frame. */
    @Test
    void shouldForgetAHintThatIsLongerThanTheFrame() {
        RawMemory.putLe16(memory + HDR_LEN, 60);
        add(frame(new Piece(100, 60)));
        RawMemory.putLe16(memory + HDR_LEN, 61);
        add(frame(new Piece(100, 60)));
        queue.publish();
        assertEquals(60, queue.sent.get(0)[HDR_LEN]);
        assertEquals(0, queue.sent.get(1)[HDR_LEN]);
    }

    @Test
    void shouldSendWhateverThePiecesAre() {
        for (int round = 0; round < 300; round++) {
            final List<List<Piece>> frames = new ArrayList<>();
            for (int i = random.nextInt(80); i >= 0; i--) {
                final List<Piece> frame = frame();
                int left = 1 + random.nextInt(random.nextInt(10) == 0 ? 65_000 : 1514);
                final int longest = 1 + random.nextInt(random.nextBoolean() ? 2000 : 40);
                while (left > 0) {
                    final Piece last = frame.get(frame.size() - 1);
                    final int length = Math.min(1 + random.nextInt(longest), left);
                    final int neighbour = last.at() + last.length();
                    final boolean joins = random.nextBoolean() && neighbour + length <= MEMORY;
                    frame.add(new Piece(joins ? neighbour : 100 + random.nextInt(MEMORY - 3000), length));
                    left -= length;
                }
                frames.add(frame);
                add(frame);
            }
            queue.publish();
            assertEquals(frames.size(), queue.sent.size());
            for (int i = 0; i < frames.size(); i++) {
                assertArrayEquals(bytes(frames.get(i)), queue.sent.get(i));
            }
            queue.sent.clear();
            queue.addresses.clear();
        }
        assertEquals(List.of(), lost);
    }
}
