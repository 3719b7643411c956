package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import org.mypervisor.virtqueue.RawMemory;

/** Sends frames out of an interface through a packet socket, up to a whole burst in one system call. */
final class PacketSender extends GatherQueue {
    /** struct mmsghdr { struct msghdr { …; struct iovec *iov; size_t iovlen; … } header; unsigned length; } */
    private static final int MESSAGE_SIZE = 64;

    private static final int IOVEC_OFFSET = 16;
    private static final int PIECES_OFFSET = 24;

    private static final int MSG_DONTWAIT = 0x40;

    private final int socket;
    private final long messages = RawMemory.allocate(FRAMES * MESSAGE_SIZE);

    /** @param socket bound to the interface */
    PacketSender(final int socket, final long features, final Losses losses) {
        super(features, losses);
        this.socket = socket;
    }

    @Override
    void put(final int slot, final long iovec, final int count) {
        final long message = messages + (long) slot * MESSAGE_SIZE;
        RawMemory.putLe64(message + IOVEC_OFFSET, iovec);
        RawMemory.putLe64(message + PIECES_OFFSET, count);
    }

    @Override
    int send(final int first, final int count) {
        return Math.max(LIBC.sendmmsg(socket, messages + (long) first * MESSAGE_SIZE, count, MSG_DONTWAIT), 0);
    }

    @Override
    void free() {
        super.free();
        RawMemory.free(messages, FRAMES * MESSAGE_SIZE);
    }
}
