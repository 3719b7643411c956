package org.mypervisor.offload.gso;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.Random;
import org.junit.jupiter.api.Test;

final class InternetChecksumTest {
    private static final int SIZE = 70_000;

    private final PrivateMemory memory = new PrivateMemory(SIZE);

    private int sumOf(final byte[] bytes, final int offset) {
        memory.put(offset, bytes);
        final int sum = InternetChecksum.fold(InternetChecksum.add(0, memory.address() + offset, bytes.length));
        return Short.reverseBytes((short) sum) & 0xFFFF;
    }

    /** RFC 1071 §3. */
    @Test
    void shouldSumTheExampleOfTheRfc() {
        assertEquals(0xDDF2, sumOf(HexFormat.of().parseHex("0001f203f4f5f6f7"), 0));
    }

    @Test
    void shouldAgreeWithTheSlowSumAtEveryLengthAndAlignment() {
        final Random random = new Random(20260201);
        for (int length = 0; length < 200; length++) {
            for (int offset = 0; offset < 9; offset++) {
                memory.fill(0xA5);
                final byte[] bytes = Flow.bytes(random, length);
                assertEquals(Flow.sum(bytes), sumOf(bytes, offset), "length " + length + ", offset " + offset);
            }
        }
    }

    @Test
    void shouldCarryThroughTheLongestFrame() {
        final byte[] ones = new byte[65_589];
        Arrays.fill(ones, (byte) 0xFF);
        assertEquals(Flow.sum(ones), sumOf(ones, 3));
        assertEquals(0, sumOf(new byte[65_589], 3), "only zeros sum to 0");
    }

    @Test
    void shouldSumPiecesOfEvenLengthLikeTheWhole() {
        final Random random = new Random(20260202);
        final byte[] bytes = Flow.bytes(random, 4_001);
        final int whole = sumOf(bytes, 1);
        for (int cut = 0; cut < bytes.length; cut += 2) {
            final long head = InternetChecksum.add(0, memory.address() + 1, cut);
            final long sum = InternetChecksum.add(head, memory.address() + 1 + cut, bytes.length - cut);
            assertEquals(whole, Short.reverseBytes((short) InternetChecksum.fold(sum)) & 0xFFFF, "cut at " + cut);
        }
    }

    @Test
    void shouldFoldWhatDoesNotFit32Bits() {
        assertEquals(0xFFFF, InternetChecksum.fold(0xFFFFL));
        assertEquals(1, InternetChecksum.fold(0x1_0000L));
        assertEquals(0xFFFF, InternetChecksum.fold(0x7FFF_FFFF_FFFF_8000L));
        assertEquals(2, InternetChecksum.fold(0x1_0000_0001_0000L));
        assertEquals(1, InternetChecksum.fold(0x1_0000_FFFF_FFFFL), "a carry out of each step");
    }

    @Test
    void shouldCompleteTheChecksumOfEveryKindOfFrame() {
        final Random random = new Random(20260203);
        for (int round = 0; round < 2_000; round++) {
            final Flow flow =
                    new Flow(random, random.nextBoolean(), random.nextBoolean(), random.nextInt(3), random.nextInt(4));
            final byte[] payload = Flow.bytes(random, random.nextInt(1_500));
            final byte[] frame = flow.forDevice(payload);
            final int offset = random.nextInt(8);
            memory.put(offset, frame);
            assertTrue(
                    InternetChecksum.complete(memory.address() + offset, flow.l4(), flow.csumOffset(), frame.length));
            assertArrayEquals(
                    flow.segment(payload, 0, 1, 0), memory.get(offset, frame.length), () -> "frame of " + flow);
        }
    }

    /** RFC 768: a checksum that comes to 0 is sent as all ones. No other protocol has that rule. */
    @Test
    void shouldSendAUdpChecksumOfZeroAsOnes() {
        final byte[] frame = new byte[40];
        Arrays.fill(frame, 20, 22, (byte) 0xFF);
        memory.put(0, frame);
        assertTrue(InternetChecksum.complete(memory.address(), 20, 6, frame.length));
        assertArrayEquals(new byte[] {-1, -1}, memory.get(26, 2));
        memory.put(0, frame);
        memory.put(36, new byte[] {1, 1});
        memory.put(20, new byte[] {-2, -2});
        assertTrue(InternetChecksum.complete(memory.address(), 20, 16, frame.length));
        assertArrayEquals(new byte[] {0, 0}, memory.get(36, 2));
    }

    @Test
    void shouldTouchNothingWhenTheFieldIsNotInsideTheFrame() {
        memory.fill(0x5A);
        final byte[] before = memory.get(0, SIZE);
        assertFalse(InternetChecksum.complete(memory.address(), 34, 16, 51));
        assertFalse(InternetChecksum.complete(memory.address(), 0xFFFF, 0xFFFF, 65_589));
        assertFalse(InternetChecksum.complete(memory.address(), 0, 0xFFFF, 65_536));
        assertFalse(InternetChecksum.complete(memory.address(), 0, 0, 1));
        assertArrayEquals(before, memory.get(0, SIZE));
        assertTrue(InternetChecksum.complete(memory.address(), 34, 16, 52));
    }
}
