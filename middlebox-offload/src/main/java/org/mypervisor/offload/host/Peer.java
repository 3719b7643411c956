package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.util.List;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/**
 * The other end of a veth. What it leaves to the driver nobody does when the frame goes to an XDP socket, which is not even told:
 * its frames would arrive without checksums, or not at all because they are too long.
 */
final class Peer {
    private static final String VETH = "veth";
    private static final String COMMAND = "ethtool -K %s tx off tso off";

    private static final int AF_NETLINK = 16;
    private static final int SOCK_RAW = 3;
    private static final int RTM_NEWLINK = 16;
    private static final int RTM_GETLINK = 18;
    private static final int NLM_F_REQUEST = 1;
    private static final int IFLA_IFNAME = 3;
    private static final int IFLA_LINK = 5;
    private static final int IFLA_LINK_NETNSID = 37;

    /** struct nlmsghdr { u32 len; u16 type, flags; u32 seq, pid; } */
    private static final int TYPE_OFFSET = 4;

    private static final int FLAGS_OFFSET = 6;

    /** Behind it struct ifinfomsg { u8 family, pad; u16 type; int index; unsigned flags, change; } */
    private static final int INDEX_OFFSET = 20;

    private static final int ATTRIBUTES_OFFSET = 32;

    /** struct rtattr { u16 len, type; }, with what is said behind it, in steps of four bytes. */
    private static final int ATTRIBUTE_HEADER = 4;

    private static final int TYPE_MASK = 0x3FFF;
    private static final int ANSWER_SIZE = 32 << 10;

    private Peer() {}

    /** Adds a line if something has to be done at the peer of this interface. */
    static void remark(final String name, final int index, final List<String> remarks) {
        if (!NetDevice.driver(name).equals(VETH)) {
            return;
        }
        final String peer = peer(index);
        if (peer.isEmpty()) {
            remarks.add("its peer is in another network namespace; what that sends must be complete, so run there: "
                    + COMMAND.formatted("PEER"));
        } else if (NetDevice.leavesWork(peer)) {
            remarks.add("its peer " + peer + " sends frames without checksums, which nobody will add; run: "
                    + COMMAND.formatted(peer));
        }
    }

    /** The name of the other end, empty if that is in another namespace. */
    private static String peer(final int index) {
        final long answer = RawMemory.allocate(ANSWER_SIZE);
        try {
            final int length = link(index, answer);
            if (attribute(answer, length, IFLA_LINK_NETNSID) != 0) {
                return "";
            }
            final long link = attribute(answer, length, IFLA_LINK);
            final int peerLength = link == 0 ? 0 : link((int) RawMemory.le32(link), answer);
            final long name = attribute(answer, peerLength, IFLA_IFNAME);
            final StringBuilder text = new StringBuilder();
            for (long at = name; name != 0 && RawMemory.u8(at) != 0; at++) {
                text.append((char) RawMemory.u8(at));
            }
            return text.toString();
        } finally {
            RawMemory.free(answer, ANSWER_SIZE);
        }
    }

    /** Has the kernel describe an interface; returns the length of the answer, 0 if there is none. */
    private static int link(final int index, final long answer) {
        final int socket = LIBC.socket(AF_NETLINK, SOCK_RAW | Libc.SOCK_CLOEXEC, 0);
        for (int i = 0; i < ATTRIBUTES_OFFSET; i += Long.BYTES) {
            RawMemory.putLe64(answer + i, 0);
        }
        RawMemory.putLe32(answer, ATTRIBUTES_OFFSET);
        RawMemory.putLe16(answer + TYPE_OFFSET, RTM_GETLINK);
        RawMemory.putLe16(answer + FLAGS_OFFSET, NLM_F_REQUEST);
        RawMemory.putLe32(answer + INDEX_OFFSET, index);
        final boolean sent = LIBC.send(socket, answer, ATTRIBUTES_OFFSET, 0) == ATTRIBUTES_OFFSET;
        final int length = sent ? (int) LIBC.read(socket, answer, ANSWER_SIZE) : 0;
        LIBC.close(socket);
        return length > ATTRIBUTES_OFFSET && RawMemory.le16(answer + TYPE_OFFSET) == RTM_NEWLINK ? length : 0;
    }

    /** Where the value of an attribute is, or 0. */
    private static long attribute(final long answer, final int length, final int type) {
        int at = ATTRIBUTES_OFFSET;
        while (at + ATTRIBUTE_HEADER <= length) {
            if ((RawMemory.le16(answer + at + 2) & TYPE_MASK) == type) {
                return answer + at + ATTRIBUTE_HEADER;
            }
            at += Math.max(RawMemory.le16(answer + at) + 3 & -4, ATTRIBUTE_HEADER);
        }
        return 0;
    }
}
