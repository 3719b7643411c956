package org.mypervisor.offload.gso;

import static org.mypervisor.virtqueue.RawMemory.be16;
import static org.mypervisor.virtqueue.RawMemory.le32;
import static org.mypervisor.virtqueue.RawMemory.le64;
import static org.mypervisor.virtqueue.RawMemory.putLe16;
import static org.mypervisor.virtqueue.RawMemory.u8;

/**
 * The checksum of IP, TCP and UDP (RFC 1071) over private memory.
 *
 * <p>A ones' complement sum is the same whatever the byte order, but for the order of its own two bytes (RFC 1071 §2
 * B). So everything here is in host order: memory is summed as it is loaded and the result stored as it is; a number
 * that takes part, such as the length in a pseudo header, goes through {@link #word} first.
 *
 * <p>Without state: any thread.
 */
public final class InternetChecksum {
    /** {@code csum_offset} of UDP, the one protocol here in which a checksum of 0 means none (RFC 768). */
    static final int UDP_CSUM_OFFSET = 6;

    private static final int CSUM_LENGTH = 2;
    private static final long LOW_HALF = 0xFFFF_FFFFL;

    private InternetChecksum() {}

    /**
     * Adds a range to a sum. The range counts as beginning at an even byte of what is summed, whatever its address: of
     * several ranges each but the last must have an even length.
     *
     * @param sum 0, or the result of this method or of {@link #word}; a sum takes 2^30 additions before it overflows
     * @param length in bytes, 0 or more; exactly that many are read
     * @return the sum, not folded
     */
    public static long add(final long sum, final long address, final int length) {
        // Each half has 32 bits of room for its carries: no step waits for the carry of the one before.
        long low = 0;
        long high = 0;
        int done = 0;
        for (; done <= length - 8; done += 8) {
            final long eight = le64(address + done);
            low += eight & LOW_HALF;
            high += eight >>> 32;
        }
        if ((length & 4) != 0) {
            low += le32(address + done);
            done += 4;
        }
        if ((length & 2) != 0) {
            high += word(be16(address + done));
            done += 2;
        }
        if ((length & 1) != 0) {
            high += u8(address + done);
        }
        return sum + low + high;
    }

    /** A 16-bit number, 0..65535, as the word that memory holding it in network order would add to a sum. */
    static int word(final int number) {
        return Short.reverseBytes((short) number) & 0xFFFF;
    }

    /** Adds the carries back in until 16 bits are left, 0..65535; 0 only if nothing but zeros was added. */
    public static int fold(final long sum) {
        long folded = (sum & LOW_HALF) + (sum >>> 32);
        folded = (folded & 0xFFFF) + (folded >>> 16);
        folded = (folded & 0xFFFF) + (folded >>> 16);
        return (int) ((folded & 0xFFFF) + (folded >>> 16));
    }

    /**
     * Does what {@code VIRTIO_NET_HDR_F_NEEDS_CSUM} asks for (virtio 1.2 §5.1.6.2): replaces the pseudo-header sum in
     * the checksum field by the checksum of everything from {@code csumStart} to the end of the frame.
     *
     * @param frame host address of the frame, private memory
     * @param csumStart offset in the frame, 0..65535
     * @param csumOffset offset of the checksum field from {@code csumStart}, 0..65535
     * @param frameLength in bytes
     * @return false, with nothing read or written, if the field is not inside the frame
     */
    public static boolean complete(final long frame, final int csumStart, final int csumOffset, final int frameLength) {
        if (csumStart + csumOffset + CSUM_LENGTH > frameLength) {
            return false;
        }
        put(frame + csumStart + csumOffset, csumOffset, add(0, frame + csumStart, frameLength - csumStart));
        return true;
    }

    /**
     * Stores the checksum that belongs to a sum.
     *
     * @param csumOffset tells whether it is UDP's, which is never 0
     */
    static void put(final long field, final int csumOffset, final long sum) {
        final int checksum = ~fold(sum) & 0xFFFF;
        putLe16(field, checksum == 0 && csumOffset == UDP_CSUM_OFFSET ? 0xFFFF : checksum);
    }
}
