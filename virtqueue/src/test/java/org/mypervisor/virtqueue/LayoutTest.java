package org.mypervisor.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every offset, size and bit number against a table typed from virtio 1.2, not from our constants. */
class LayoutTest {
    private static final int BYTES = 1024;

    private final long memory = RawMemory.allocate(BYTES);

    @AfterEach
    void free() {
        RawMemory.free(memory, BYTES);
    }

    private void put(final int offset, final int... bytes) {
        for (int i = 0; i < bytes.length; i++) {
            RawMemory.putU8(memory + offset + i, bytes[i]);
        }
    }

    private void assertBytes(final int offset, final int... expected) {
        for (int i = 0; i < expected.length; i++) {
            assertEquals(expected[i], RawMemory.u8(memory + offset + i), "byte " + (offset + i));
        }
    }

    /** virtio 1.2 §2.7.5: le64 addr 0, le32 len 8, le16 flags 12, le16 next 14. */
    @Test
    void shouldReadDescriptorFieldsWhereTheSpecificationPutsThem() {
        put(0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xF6, 0xF7, 0xF8);
        put(8, 0x81, 0x82, 0x83, 0x84);
        put(12, 0x91, 0x92);
        put(14, 0xA1, 0xA2);
        final long word = VirtqDesc.lenFlagsNext(memory);
        assertEquals(0xF8F7F6F5F4F3F2F1L, VirtqDesc.addr(memory));
        assertEquals(0x84838281L, VirtqDesc.len(word), "le32 leaves unsigned");
        assertEquals(0x9291, VirtqDesc.flags(word), "le16 leaves unsigned");
        assertEquals(0xA2A1, VirtqDesc.next(word), "le16 leaves unsigned");
        assertEquals(16, VirtqDesc.SIZE);
    }

    /** virtio 1.2 §2.7.5: NEXT 1, WRITE 2, INDIRECT 4. */
    @Test
    void shouldKnowDescriptorFlags() {
        assertEquals(1, VirtqDesc.VIRTQ_DESC_F_NEXT);
        assertEquals(2, VirtqDesc.VIRTQ_DESC_F_WRITE);
        assertEquals(4, VirtqDesc.VIRTQ_DESC_F_INDIRECT);
        assertEquals(1, VirtqAvail.VIRTQ_AVAIL_F_NO_INTERRUPT);
        assertEquals(1, VirtqUsed.VIRTQ_USED_F_NO_NOTIFY);
    }

    /** virtio 1.2 §2.7: alignments 16, 2, 4; sizes 16*n, 6+2*n, 6+8*n with the event field, 2 less without. */
    @ParameterizedTest
    @CsvSource({"1, 16, 8, 14", "2, 32, 10, 22", "256, 4096, 518, 2054", "32768, 524288, 65542, 262150"})
    void shouldKnowSizesOfRingParts(final int size, final int descTable, final int availRing, final int usedRing) {
        assertEquals(descTable, size * VirtqDesc.SIZE);
        assertEquals(availRing, VirtqAvail.size(size, true));
        assertEquals(availRing - 2, VirtqAvail.size(size, false));
        assertEquals(usedRing, VirtqUsed.size(size, true));
        assertEquals(usedRing - 2, VirtqUsed.size(size, false));
        assertEquals(16, VirtqDesc.ALIGNMENT);
        assertEquals(2, VirtqAvail.ALIGNMENT);
        assertEquals(4, VirtqUsed.ALIGNMENT);
    }

    /** virtio 1.2 §2.7.6: le16 flags 0, le16 idx 2, le16 ring[] 4, le16 used_event 4+2*n. */
    @Test
    void shouldReadAvailRingWhereTheSpecificationPutsIt() {
        put(0, 0x81, 0x82);
        put(2, 0x93, 0x94);
        put(4, 0xA5, 0xA6, 0xB7, 0xB8);
        put(4 + 2 * 64, 0xC9, 0xCA);
        assertEquals(0x8281, VirtqAvail.flags(memory));
        assertEquals(0x9493, VirtqAvail.idxAcquire(memory));
        assertEquals(0xA6A5, VirtqAvail.head(memory, 0));
        assertEquals(0xB8B7, VirtqAvail.head(memory, 1));
        assertEquals(0xCAC9, VirtqAvail.usedEvent(memory, 64));
    }

    /** virtio 1.2 §2.7.8: le16 flags 0, le16 idx 2, { le32 id, le32 len } ring[] 4, le16 avail_event 4+8*n. */
    @Test
    void shouldWriteUsedRingWhereTheSpecificationPutsIt() {
        VirtqUsed.putFlags(memory, 0x8281);
        VirtqUsed.putIdxRelease(memory, 0x9493);
        VirtqUsed.putElement(memory, 0, 0x7FFE, 0x74737271);
        VirtqUsed.putElement(memory, 1, 0x7FFF, 0);
        VirtqUsed.putAvailEvent(memory, 16, 0xCAC9);
        assertBytes(0, 0x81, 0x82, 0x93, 0x94);
        assertBytes(4, 0xFE, 0x7F, 0, 0, 0x71, 0x72, 0x73, 0x74);
        assertBytes(12, 0xFF, 0x7F, 0, 0, 0, 0, 0, 0);
        assertBytes(20, 0, 0, 0, 0);
        assertBytes(4 + 8 * 16, 0xC9, 0xCA, 0, 0);
        assertEquals(0x9493, VirtqUsed.idx(memory));
    }

    /** virtio 1.2 §5.1.6: 12 bytes, num_buffers at 10; §5.1.6.1 for the 10-byte legacy form. */
    @Test
    void shouldWritePlainNetHeader() {
        put(0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9);
        VirtioNetHdr.putPlain(memory, 12, 0x0102);
        assertBytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 9);
        for (int differing = 0; differing < 12; differing++) {
            put(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 9);
            put(differing, 9);
            VirtioNetHdr.putPlain(memory, 12, 0x0102);
            assertBytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 1, 9);
        }
        put(0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9);
        VirtioNetHdr.putPlain(memory, 10, 1);
        assertBytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9);
    }

    /** virtio 1.2 §5.1.6.1: num_buffers is there with VERSION_1 (32), RING_PACKED (34), which needs it, or MRG_RXBUF (15). */
    @Test
    void shouldChooseNetHeaderSizeByFeatures() {
        assertEquals(10, VirtioNetHdr.size(0));
        assertEquals(10, VirtioNetHdr.size(~(1L << 34 | 1L << 32 | 1L << 15)));
        assertEquals(12, VirtioNetHdr.size(1L << 32));
        assertEquals(12, VirtioNetHdr.size(1L << 15));
        assertEquals(12, VirtioNetHdr.size(1L << 34));
    }

    /** virtio 1.2 §6 and §5.1.3; bit 30 from the vhost-user specification. */
    @Test
    void shouldKnowFeatureBits() {
        assertEquals(3, VirtioFeatures.VIRTIO_NET_F_MTU);
        assertEquals(15, VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF);
        assertEquals(22, VirtioFeatures.VIRTIO_NET_F_MQ);
        assertEquals(27, VirtioFeatures.VIRTIO_F_ANY_LAYOUT);
        assertEquals(28, VirtioFeatures.VIRTIO_F_INDIRECT_DESC);
        assertEquals(29, VirtioFeatures.VIRTIO_F_EVENT_IDX);
        assertEquals(30, VirtioFeatures.VHOST_USER_F_PROTOCOL_FEATURES);
        assertEquals(32, VirtioFeatures.VIRTIO_F_VERSION_1);
        assertEquals(35, VirtioFeatures.VIRTIO_F_IN_ORDER);
    }

    @Test
    void shouldMakeMasksBeyondBit31() {
        assertEquals(0x1_0000_0000L, VirtioFeatures.bit(32));
        assertTrue(VirtioFeatures.has(0x8000_0000_0000_0000L, 63));
        assertFalse(VirtioFeatures.has(1, 32));
        assertEquals("mrg_rxbuf version_1 bit63", VirtioFeatures.names(1L << 15 | 1L << 32 | 1L << 63));
    }

    /** virtio 1.2 §2.7: "Queue Size is always a power of 2. The maximum Queue Size value is 32768." */
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 4, 128, 1024, 16384, 32768})
    void shouldAcceptSize(final long size) {
        assertTrue(VringLayout.isValidSize(size, false));
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 3, 255, 257, 32767, 65536, 0x8000_0000L, 0xFFFF_FFFFL, -1, Long.MIN_VALUE})
    void shouldRefuseSize(final long size) {
        assertFalse(VringLayout.isValidSize(size, false));
    }
}
