package org.mypervisor.fuzz;

import com.code_intelligence.jazzer.api.FuzzedDataProvider;
import java.nio.ByteBuffer;
import java.util.List;
import jnr.constants.platform.OpenFlags;
import jnr.posix.POSIX;
import jnr.posix.POSIXFactory;
import org.mypervisor.driversim.EventFd;
import org.mypervisor.driversim.GuestMemoryFile;
import org.mypervisor.driversim.Message;
import org.mypervisor.driversim.Region;
import org.mypervisor.driversim.Request;
import org.mypervisor.driversim.SplitLayout;
import org.mypervisor.driversim.VhostUserSocket;

/**
 * Plays a front-end and its driver as the fuzzer wishes: messages that are mostly well-formed, with descriptors that are
 * mostly of the right kind and number, in any order; raw bytes in between; and rings with anything in them.
 */
final class FuzzedFrontend {
    private static final int VRINGS = 2 * FuzzedBackend.QUEUE_PAIRS;
    private static final int MOST_STEPS = 64;
    private static final int MOST_RAW_BYTES = 64;
    private static final int RING_SIZE = 16;
    private static final int RING_PAGES = 0x1000;
    private static final int REGION_SIZE = 0x8000;
    private static final long INDIRECT_TABLE = 0x10000;
    private static final int NEED_REPLY = Message.VERSION | Message.NEED_REPLY;
    private static final int[] NO_FDS = {};

    /** version_1, protocol_features, any_layout, indirect_desc, event_idx, mrg_rxbuf, mtu, mq, in_order. */
    private static final long FEATURES =
            1L << 32 | 1L << 30 | 1L << 27 | 1L << 28 | 1L << 29 | 1L << 15 | 1L << 3 | 1L << 22 | 1L << 35;

    private static final long PROTOCOL_FEATURES = 1 | 1 << 2 | 1 << 3 | 1 << 4;

    /** Made on first use and kept; a message gives away duplicates. */
    private static final class Guest {
        static final GuestMemoryFile MEMORY =
                GuestMemoryFile.ofGpas(0, REGION_SIZE, REGION_SIZE, REGION_SIZE, 0x20000, REGION_SIZE);
        static final GuestMemoryFile OTHER = GuestMemoryFile.ofGpas(0x40000, 0x1000);
        static final EventFd[] KICKS = eventFds();
        static final EventFd[] CALLS = eventFds();
        static final EventFd ERR = EventFd.create(0);
        static final int[] WRONG_KINDS = {open("/dev/null"), open("/"), open("/etc/passwd"), OTHER.fd()};
        static final byte[] ZEROS = new byte[REGION_SIZE];

        private static EventFd[] eventFds() {
            final EventFd[] fds = new EventFd[VRINGS];
            for (int i = 0; i < fds.length; i++) {
                fds[i] = EventFd.create(0);
            }
            return fds;
        }

        private static int open(final String path) {
            final POSIX posix = POSIXFactory.getNativePOSIX();
            final int fd = posix.open(path, OpenFlags.O_RDONLY.intValue(), 0);
            if (fd < 0) {
                throw new AssertionError("cannot open " + path);
            }
            return fd;
        }
    }

    private final FuzzedDataProvider data;
    private final VhostUserSocket socket;
    private boolean open = true;

    FuzzedFrontend(final FuzzedDataProvider data, final VhostUserSocket socket) {
        this.data = data;
        this.socket = socket;
    }

    /** Opens what all inputs share, so that no input seems to leak it. */
    static void prepare() {
        for (final Region region : Guest.MEMORY.table()) {
            Guest.MEMORY.write(region.gpa(), Guest.ZEROS);
        }
    }

    /** Goes on until the input is used up or the back-end has had enough. */
    void play() {
        for (int step = 0; step < MOST_STEPS && open && data.remainingBytes() > 0; step++) {
            switch (data.consumeInt(0, 15)) {
                case 0, 1 -> startLikeQemu();
                case 2 -> send(data.consumeBytes(MOST_RAW_BYTES), anyFds());
                case 3, 4, 5 -> fillRing(data.consumeInt(0, VRINGS - 1));
                case 6 -> Guest.KICKS[data.consumeInt(0, VRINGS - 1)].signal();
                default -> message();
            }
        }
    }

    private static SplitLayout layout(final int index) {
        final long at = (long) index * RING_PAGES;
        return new SplitLayout(RING_SIZE, at, at + 0x400, at + 0x800);
    }

    private void fillRing(final int index) {
        final int base = Guest.MEMORY.le16(layout(index).usedGpa() + 2);
        new FuzzedRing(data, Guest.MEMORY).write(layout(index), INDIRECT_TABLE, index % 2 == 0, base);
    }

    /** All that QEMU says up to running rings, without waiting for a reply, with one chance for each step to go wrong. */
    private void startLikeQemu() {
        final int omitted = data.consumeInt(0, 63);
        final int rings = data.consumeBoolean() ? VRINGS : 2;
        int step = 0;
        final long features = data.consumeInt(0, 3) == 0 ? features() : FEATURES;
        request(step++ == omitted, Request.SET_OWNER, new byte[0]);
        request(step++ == omitted, Request.SET_FEATURES, Message.u64(features));
        request(step++ == omitted, Request.SET_PROTOCOL_FEATURES, Message.u64(PROTOCOL_FEATURES));
        final List<Region> table = Guest.MEMORY.table();
        request(step++ == omitted, Request.SET_MEM_TABLE, memTable(table, table.size()), Guest.MEMORY.tableFds());
        for (int index = 0; index < rings; index++) {
            final int base = Guest.MEMORY.le16(layout(index).usedGpa() + 2);
            request(step++ == omitted, Request.SET_VRING_NUM, Message.state(index, RING_SIZE));
            request(step++ == omitted, Request.SET_VRING_BASE, Message.state(index, base));
            request(step++ == omitted, Request.SET_VRING_ADDR, address(index, index));
            request(step++ == omitted, Request.SET_VRING_KICK, Message.u64(index), Guest.KICKS[index].fd());
            request(step++ == omitted, Request.SET_VRING_CALL, Message.u64(index), Guest.CALLS[index].fd());
            request(step++ == omitted, Request.SET_VRING_ENABLE, Message.state(index, 1));
        }
    }

    private void request(final boolean omit, final Request request, final byte[] payload, final int... fds) {
        if (!omit) {
            send(Message.encode(request.number(), Message.VERSION, payload), fds);
        }
    }

    private void send(final byte[] bytes, final int... fds) {
        open = open && (bytes.length == 0 || socket.trySend(bytes, fds));
    }

    /** One message, each part of it right or wrong by the input's choice. */
    private void message() {
        final int number = data.consumeInt(0, 15) == 0 ? data.consumeInt(0, 63) : 1 + data.consumeInt(0, 19);
        final int spoilt = data.consumeInt(0, 31);
        final byte[] payload = spoilt == 0 ? data.consumeBytes(MOST_RAW_BYTES) : payload(number);
        final int[] fds = spoilt == 1 ? anyFds() : usualFds(number, payload);
        final int flags = spoilt == 2 ? data.consumeInt() : data.consumeBoolean() ? NEED_REPLY : Message.VERSION;
        final int size = spoilt == 3 ? data.consumeInt() : spoilt == 4 ? data.consumeInt(0, 64) : payload.length;
        send(Message.encode(spoilt == 5 ? data.consumeInt() : number, flags, size, payload), fds);
    }

    private byte[] payload(final int number) {
        final Request request = number <= Request.values().length ? Request.values()[Math.max(0, number - 1)] : null;
        if (request == null) {
            return data.consumeBytes(MOST_RAW_BYTES);
        }
        return switch (request) {
            case GET_FEATURES, SET_OWNER, RESET_OWNER, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM -> new byte[0];
            case SET_FEATURES -> Message.u64(features());
            case SET_PROTOCOL_FEATURES ->
                Message.u64(data.consumeBoolean() ? PROTOCOL_FEATURES : data.consumeInt(0, 0xFFFF));
            case SET_MEM_TABLE -> memTable();
            case SET_VRING_NUM -> Message.state(index(), data.consumeBoolean() ? RING_SIZE : data.consumeInt());
            case SET_VRING_BASE, GET_VRING_BASE -> Message.state(index(), data.consumeInt(0, 0x1FFFF));
            case SET_VRING_ENABLE -> Message.state(index(), data.consumeInt(0, 2));
            case SET_VRING_ADDR -> address();
            case SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR ->
                Message.u64(index() | (data.consumeInt(0, 7) == 0 ? data.consumeLong() : 0));
            case NET_SET_MTU -> Message.u64(data.consumeInt(0, 0x1FFFF));
            case SEND_RARP -> Message.u64(data.consumeLong());
            default -> data.consumeBytes(MOST_RAW_BYTES);
        };
    }

    private long features() {
        return switch (data.consumeInt(0, 3)) {
            case 0 -> data.consumeLong();
            case 1 -> FEATURES & data.consumeLong();
            default -> FEATURES & ~(1L << data.consumeInt(0, 40));
        };
    }

    private int index() {
        return data.consumeInt(0, 31) == 0 ? data.consumeInt() : data.consumeInt(0, VRINGS - 1);
    }

    private byte[] address() {
        final int index = index();
        if (data.consumeInt(0, 3) != 0) {
            return address(index, index >= 0 && index < VRINGS ? index : 0);
        }
        final byte[] payload = address(index, data.consumeInt(0, VRINGS - 1));
        ByteBuffer.wrap(payload).putLong(8 * data.consumeInt(1, 3), data.consumeLong());
        return payload;
    }

    private static byte[] address(final int index, final int ring) {
        final SplitLayout layout = layout(ring);
        return Message.littleEndian(40)
                .putInt(index)
                .putInt(0)
                .putLong(Guest.MEMORY.uvaOf(layout.descGpa()))
                .putLong(Guest.MEMORY.uvaOf(layout.usedGpa()))
                .putLong(Guest.MEMORY.uvaOf(layout.availGpa()))
                .putLong(0)
                .array();
    }

    private byte[] memTable() {
        final List<Region> table = Guest.MEMORY.table();
        final int count = data.consumeInt(0, table.size());
        final int announced = data.consumeInt(0, 15) == 0 ? data.consumeInt() : count;
        final byte[] payload = memTable(table.subList(0, count), announced);
        if (count > 0 && data.consumeBoolean()) {
            final int field = data.consumeInt(0, 4 * count - 1);
            final ByteBuffer fields = ByteBuffer.wrap(payload).order(java.nio.ByteOrder.LITTLE_ENDIAN);
            final long value = data.consumeBoolean()
                    ? data.consumeLong()
                    : fields.getLong(8 + 8 * field) + 0x1000L * data.consumeInt(-16, 16);
            fields.putLong(8 + 8 * field, value);
        }
        return payload;
    }

    private static byte[] memTable(final List<Region> table, final int announced) {
        final ByteBuffer payload =
                Message.littleEndian(8 + 32 * table.size()).putInt(announced).putInt(0);
        for (final Region region : table) {
            payload.putLong(region.gpa())
                    .putLong(region.size())
                    .putLong(region.uva())
                    .putLong(region.mmapOffset());
        }
        return payload.array();
    }

    private int[] usualFds(final int number, final byte[] payload) {
        if (payload.length < 8) {
            return NO_FDS;
        }
        final int index = payload[0] & VRINGS - 1;
        final boolean none = (payload[1] & 1) != 0;
        return switch (number) {
            case 5 -> tableFds(payload.length / 32);
            case 12 -> none ? NO_FDS : new int[] {Guest.KICKS[index].fd()};
            case 13 -> none ? NO_FDS : new int[] {Guest.CALLS[index].fd()};
            case 14 -> none ? NO_FDS : new int[] {Guest.ERR.fd()};
            default -> NO_FDS;
        };
    }

    private int[] tableFds(final int count) {
        final int[] fds = new int[count];
        java.util.Arrays.fill(fds, Guest.MEMORY.fd());
        if (count > 0 && data.consumeInt(0, 15) == 0) {
            fds[data.consumeInt(0, count - 1)] = anyFd();
        }
        return fds;
    }

    private int[] anyFds() {
        final int[] fds = new int[data.consumeInt(0, 31) == 0 ? 40 : data.consumeInt(0, 4)];
        for (int i = 0; i < Math.min(fds.length, 4); i++) {
            fds[i] = anyFd();
        }
        for (int i = 4; i < fds.length; i++) {
            fds[i] = fds[0];
        }
        return fds;
    }

    private int anyFd() {
        final int kind = data.consumeInt(0, 7);
        return switch (kind) {
            case 0, 1, 2, 3 -> Guest.WRONG_KINDS[kind];
            case 4 -> Guest.MEMORY.fd();
            case 5 -> Guest.ERR.fd();
            case 6 -> Guest.CALLS[0].fd();
            default -> Guest.KICKS[0].fd();
        };
    }
}
