package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.mypervisor.driversim.Virtio.mask;

import org.junit.jupiter.api.Test;

/** The check that stands behind every frame of every test fails where it has to. */
final class ReceivedFrameTest {
    private static final long CSUM = mask(1);
    private static final long TSO4 = mask(1, 7);

    private static byte[] header(final int flags, final int gsoType, final int gsoSize) {
        return new byte[] {(byte) flags, (byte) gsoType, 0, 0, (byte) gsoSize, 0, 14, 0, 6, 0, 1, 0};
    }

    private static void accept(final long features, final byte[] header) {
        assertEquals(1, ReceivedFrame.numBuffers(header, features));
    }

    private static void refuse(final long features, final byte[] header) {
        assertThrows(AssertionError.class, () -> ReceivedFrame.numBuffers(header, features));
    }

    @Test
    void shouldAcceptOnlyWhatWasNegotiated() {
        refuse(0, header(1, 0, 0));
        accept(CSUM, header(1, 0, 0));
        accept(CSUM, header(2, 0, 0));
        refuse(CSUM, header(4, 0, 0));
        refuse(CSUM, header(1, 1, 9));
        accept(TSO4, header(1, 1, 9));
        refuse(TSO4, header(1, 4, 9));
        refuse(TSO4, header(1, 3, 9));
        refuse(TSO4, header(1, 0x81, 9));
        accept(TSO4 | mask(9), header(1, 0x81, 9));
        accept(mask(1, 8), header(1, 4, 9));
        refuse(TSO4, header(1, 5, 9));
        accept(mask(1, 54), header(1, 5, 9));
        accept(mask(1, 55), header(1, 5, 9));
        refuse(mask(1, 9, 55), header(1, 0x85, 9));
    }

    @Test
    void shouldRefuseSegmentationThatCannotBeDone() {
        refuse(TSO4, header(0, 1, 9));
        refuse(TSO4, header(1, 1, 0));
    }

    @Test
    void shouldCompleteAChecksumOverAnOddNumberOfBytes() {
        final byte[] frame = new byte[23];
        frame[14] = 1;
        frame[20] = (byte) 0xFF;
        frame[21] = (byte) 0xFE;
        frame[22] = 3;
        final byte[] whole = new ReceivedFrame(header(1, 0, 0), frame, 1).withChecksum();
        // 0x0100 + 0xFFFE + 0x0300, with the carry: 0x03FF.
        frame[20] = (byte) 0xFC;
        frame[21] = 0;
        assertArrayEquals(frame, whole);
    }
}
