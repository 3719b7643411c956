package org.mypervisor.driversim;

/**
 * One element of a descriptor chain.
 *
 * @param length bytes, an unsigned 32-bit value
 * @param writable written by the device if true, read by it if false
 */
public record Buffer(long gpa, long length, boolean writable) {
    /** A buffer the device reads. */
    public static Buffer readable(final long gpa, final long length) {
        return new Buffer(gpa, length, false);
    }

    /** A buffer the device writes. */
    public static Buffer writable(final long gpa, final long length) {
        return new Buffer(gpa, length, true);
    }
}
