package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import jnr.constants.platform.Errno;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/** What netdevice(7) tells of an interface, and sets. Any thread; may block for as long as the kernel's lock is held. */
final class NetDevice {
    /** struct ifreq { char name[16]; union { … } } */
    static final int IFREQ_SIZE = 40;

    static final int IFREQ_VALUE_OFFSET = 16;

    private static final int MAX_NAME_BYTES = 15;

    private static final int AF_INET = 2;
    private static final int SOCK_DGRAM = 2;

    private static final long SIOCGIFFLAGS = 0x8913;
    private static final long SIOCSIFFLAGS = 0x8914;
    private static final long SIOCGIFMTU = 0x8921;
    private static final long SIOCSIFMTU = 0x8922;
    private static final long SIOCGIFHWADDR = 0x8927;
    private static final long SIOCGIFINDEX = 0x8933;

    private static final int IFF_UP = 1;
    private static final int IFF_RUNNING = 0x40;

    private static final int ARPHRD_ETHER = 1;
    private static final int ARPHRD_LOOPBACK = 772;

    private static final long SIOCETHTOOL = 0x8946;
    private static final int ETHTOOL_GDRVINFO = 0x3;
    private static final int ETHTOOL_GTXCSUM = 0x16;
    private static final int ETHTOOL_GTSO = 0x1e;
    private static final int ETHTOOL_GCHANNELS = 0x3c;

    /** struct ethtool_drvinfo { u32 cmd; char driver[32]; … }, the longest answer. */
    private static final int ANSWER_SIZE = 196;

    private static final int DRIVER_OFFSET = 4;
    private static final int DRIVER_SIZE = 32;

    /** struct ethtool_channels { …; u32 rx_count, tx_count, other_count, combined_count; } */
    private static final int RX_COUNT_OFFSET = 20;

    private static final int TX_COUNT_OFFSET = 24;

    private static final int COMBINED_COUNT_OFFSET = 32;

    private static final int NO_ANSWER = -1;

    private NetDevice() {}

    /** A request about an interface, to be freed. */
    static long request(final String name) {
        final long request = RawMemory.allocate(IFREQ_SIZE);
        final byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        for (int i = 0; i < Math.min(bytes.length, MAX_NAME_BYTES); i++) {
            RawMemory.putU8(request + i, bytes[i]);
        }
        return request;
    }

    /** The name in a request. */
    static String name(final long request) {
        final byte[] bytes = new byte[MAX_NAME_BYTES];
        int length = 0;
        while (length < MAX_NAME_BYTES && RawMemory.u8(request + length) != 0) {
            bytes[length] = (byte) RawMemory.u8(request + length);
            length++;
        }
        return new String(bytes, 0, length, StandardCharsets.UTF_8);
    }

    /** Its number, above 0; 0 when there is none of this name. */
    static int index(final String name) {
        return Math.max((int) get(name, SIOCGIFINDEX), 0);
    }

    /** Whether it is up and has a carrier. */
    static boolean isRunning(final String name) {
        final long flags = get(name, SIOCGIFFLAGS);
        return flags != NO_ANSWER && (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0;
    }

    /** In bytes; 0 when it is not there. */
    static int mtu(final String name) {
        return Math.max((int) get(name, SIOCGIFMTU), 0);
    }

    /** Whether its frames have Ethernet headers. */
    static boolean isEthernet(final String name) {
        final long type = get(name, SIOCGIFHWADDR);
        return type != NO_ANSWER && ((type & 0xFFFF) == ARPHRD_ETHER || (type & 0xFFFF) == ARPHRD_LOOPBACK);
    }

    static void setMtu(final String name, final int mtu) throws IOException {
        set(name, SIOCSIFMTU, mtu, "MTU " + mtu);
    }

    static void setUp(final String name) throws IOException {
        set(name, SIOCSIFFLAGS, get(name, SIOCGIFFLAGS) | IFF_UP, "up");
    }

    /** The first four bytes of the answer, or {@link #NO_ANSWER}. */
    private static long get(final String name, final long what) {
        final int socket = LIBC.socket(AF_INET, SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        final long request = request(name);
        try {
            return LIBC.ioctl(socket, what, request) == 0 ? RawMemory.le32(request + IFREQ_VALUE_OFFSET) : NO_ANSWER;
        } finally {
            RawMemory.free(request, IFREQ_SIZE);
            LIBC.close(socket);
        }
    }

    private static void set(final String name, final long what, final long value, final String words)
            throws IOException {
        final int socket = LIBC.socket(AF_INET, SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        final long request = request(name);
        RawMemory.putLe32(request + IFREQ_VALUE_OFFSET, value);
        try {
            if (LIBC.ioctl(socket, what, request) != 0) {
                final int errno = Libc.lastErrno();
                final String why = errno == Errno.EPERM.intValue() ? "that needs CAP_NET_ADMIN" : Libc.lastError();
                throw new IOException("interface " + name + ": cannot be set to " + words + ": " + why);
            }
        } finally {
            RawMemory.free(request, IFREQ_SIZE);
            LIBC.close(socket);
        }
    }

    /** Queues on which frames arrive; 0 when its driver does not say. */
    static int receiveQueues(final String name) {
        return queues(name, RX_COUNT_OFFSET);
    }

    /** Queues by which frames leave; 0 when its driver does not say. */
    static int sendQueues(final String name) {
        return queues(name, TX_COUNT_OFFSET);
    }

    private static int queues(final String name, final int offset) {
        final long answer = ethtool(name, ETHTOOL_GCHANNELS);
        try {
            return answer == 0
                    ? 0
                    : (int) (RawMemory.le32(answer + offset) + RawMemory.le32(answer + COMBINED_COUNT_OFFSET));
        } finally {
            free(answer);
        }
    }

    /** The name of its driver, or "?". */
    static String driver(final String name) {
        final long answer = ethtool(name, ETHTOOL_GDRVINFO);
        final StringBuilder driver = new StringBuilder();
        for (int i = 0; answer != 0 && i < DRIVER_SIZE && RawMemory.u8(answer + DRIVER_OFFSET + i) != 0; i++) {
            driver.append((char) RawMemory.u8(answer + DRIVER_OFFSET + i));
        }
        free(answer);
        return driver.isEmpty() ? "?" : driver.toString();
    }

    /** Whether it leaves the checksums, or the segmentation, of what it sends to its driver. */
    static boolean leavesWork(final String name) {
        return isOn(name, ETHTOOL_GTXCSUM) || isOn(name, ETHTOOL_GTSO);
    }

    /** struct ethtool_value { u32 cmd; u32 data; } */
    private static boolean isOn(final String name, final int what) {
        final long answer = ethtool(name, what);
        final boolean on = answer != 0 && RawMemory.le32(answer + Integer.BYTES) != 0;
        free(answer);
        return on;
    }

    /** The answer, to be freed; or 0. */
    private static long ethtool(final String name, final int what) {
        final long answer = RawMemory.allocate(ANSWER_SIZE);
        RawMemory.putLe32(answer, what);
        final int socket = LIBC.socket(AF_INET, SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);
        final long request = request(name);
        RawMemory.putLe64(request + IFREQ_VALUE_OFFSET, answer);
        final boolean answered = LIBC.ioctl(socket, SIOCETHTOOL, request) == 0;
        RawMemory.free(request, IFREQ_SIZE);
        LIBC.close(socket);
        if (!answered) {
            free(answer);
        }
        return answered ? answer : 0;
    }

    private static void free(final long answer) {
        if (answer != 0) {
            RawMemory.free(answer, ANSWER_SIZE);
        }
    }
}
