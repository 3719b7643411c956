package org.mypervisor.offload;

/** Why a frame ended without being sent. The name in lower case is the key in {@code drops} of the statistics. */
public enum DropReason {
    /** A rule said so. Counted on the path. */
    DENIED,
    /** Its headers could not be read as far as the rules need. Counted on the path. */
    UNPARSABLE,
    /** The middlebox VM is down and {@code vm-down=drop} was asked for. Counted on the path. */
    VM_DOWN,
    /** The destination had no receive buffer for it in time. Counted on the destination port. */
    NO_BUFFER,
    /** The destination's front-end was not connected, or had not started its first queue pair. */
    DOWN,
    /** The source or destination queue was disabled by the driver. */
    DISABLED,
    /** Larger than the destination's buffers can hold. Counted on the destination port. */
    TOO_BIG,
    /** Its port is the source of no path. Counted on the source port. */
    NO_PATH;

    private static final DropReason[] VALUES = values();

    /** Number of reasons; the size of a counter array indexed by ordinal. */
    public static final int COUNT = VALUES.length;

    private final String key = name().toLowerCase(java.util.Locale.ROOT);

    /** The key used in the statistics. */
    public String key() {
        return key;
    }

    public static DropReason of(final int ordinal) {
        return VALUES[ordinal];
    }
}
