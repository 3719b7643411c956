package org.mypervisor.driversim;

/**
 * What a descriptor of either kind of ring says of itself, right or wrong. How it is linked and identified is the
 * ring's affair.
 *
 * @param length bytes, an unsigned 32-bit value
 * @param flags as in memory, without those by which a packed ring tells available from used
 */
public record Descriptor(long gpa, long length, int flags) {
    static Descriptor of(final Buffer buffer) {
        return new Descriptor(buffer.gpa(), buffer.length(), buffer.writable() ? Virtio.VIRTQ_DESC_F_WRITE : 0);
    }

    boolean has(final int flag) {
        return (flags & flag) != 0;
    }
}
