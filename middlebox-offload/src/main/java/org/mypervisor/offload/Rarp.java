package org.mypervisor.offload;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** The reverse ARP request by which switches learn that a migrated guest is here now, RFC 903. */
final class Rarp {
    private static final int SHORTEST_FRAME = 60;
    private static final int MAC_SIZE = 6;
    private static final short ETHER_TYPE = (short) 0x8035;
    private static final short HARDWARE_ETHERNET = 1;
    private static final short PROTOCOL_IPV4 = 0x0800;
    private static final byte IPV4_SIZE = 4;
    private static final short REQUEST_REVERSE = 3;
    private static final int NO_ADDRESS = 0;

    private Rarp() {}

    /** A broadcast frame from the guest with this MAC address, asking for its own protocol address. */
    static byte[] frame(final byte[] mac) {
        final byte[] broadcast = new byte[MAC_SIZE];
        Arrays.fill(broadcast, (byte) 0xFF);
        return ByteBuffer.allocate(SHORTEST_FRAME)
                .put(broadcast)
                .put(mac)
                .putShort(ETHER_TYPE)
                .putShort(HARDWARE_ETHERNET)
                .putShort(PROTOCOL_IPV4)
                .put((byte) MAC_SIZE)
                .put(IPV4_SIZE)
                .putShort(REQUEST_REVERSE)
                .put(mac)
                .putInt(NO_ADDRESS)
                .put(mac)
                .putInt(NO_ADDRESS)
                .array();
    }
}
