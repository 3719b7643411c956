package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class RawMemoryTest {
    private static final int BYTES = 4096;
    private static final int GUARD = 8;

    private final long from = RawMemory.allocate(BYTES);
    private final long to = RawMemory.allocate(BYTES);

    @AfterEach
    void free() {
        RawMemory.free(from, BYTES);
        RawMemory.free(to, BYTES);
    }

    @Test
    void shouldCopyExactlyTheBytesAsked() {
        final Random random = new Random(1);
        final byte[] source = new byte[BYTES];
        random.nextBytes(source);
        for (int i = 0; i < BYTES; i++) {
            RawMemory.putU8(from + i, source[i]);
        }
        for (int length = 0; length < 700; length++) {
            final int fromOffset = random.nextInt(16);
            final int toOffset = GUARD + random.nextInt(16);
            final int guardedEnd = toOffset + length + GUARD;
            for (int i = 0; i < guardedEnd; i++) {
                RawMemory.putU8(to + i, 0xEE);
            }
            RawMemory.copy(from + fromOffset, to + toOffset, length);
            final byte[] expected = new byte[guardedEnd];
            java.util.Arrays.fill(expected, (byte) 0xEE);
            System.arraycopy(source, fromOffset, expected, toOffset, length);
            final byte[] copied = new byte[guardedEnd];
            for (int i = 0; i < guardedEnd; i++) {
                copied[i] = (byte) RawMemory.u8(to + i);
            }
            assertArrayEquals(expected, copied, "length " + length);
        }
    }

    @Test
    void shouldLeaveUnsignedAndInTheNamedByteOrder() {
        RawMemory.putLe64(from, 0x88878685_84838281L);
        assertEquals(0x81, RawMemory.u8(from));
        assertEquals(0x8281, RawMemory.le16(from));
        assertEquals(0x8281, RawMemory.le16Acquire(from));
        assertEquals(0x84838281L, RawMemory.le32(from));
        assertEquals(0x8182, RawMemory.be16(from));
        assertEquals(0x81828384, RawMemory.be32(from));
        assertEquals(0x81828384_85868788L, RawMemory.be64(from));
        RawMemory.putLe32(from, 0xFFFF_FFFFL);
        assertEquals(0xFFFF_FFFFL, RawMemory.le32(from));
    }

    @Test
    void shouldAllocateZeroes() {
        for (int i = 0; i < BYTES; i++) {
            assertEquals(0, RawMemory.u8(to + i));
        }
    }
}
