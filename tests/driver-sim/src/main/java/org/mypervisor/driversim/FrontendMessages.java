package org.mypervisor.driversim;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;

/**
 * Every request a net front-end sends, one method each, with exactly the bytes and descriptors of the specification;
 * a request without a method of its own goes through {@link #request} or {@link #call}. Replies are checked: flags
 * exactly 0x5, the number of the request, the size. Descriptors given to a method stay the caller's. All addresses in
 * bytes, u64 values as {@code long}. Unmet expectations raise {@link AssertionError}. For one thread.
 */
public class FrontendMessages extends FrontendConnection {
    /** Set in a kick, call or err payload when no descriptor comes with it. */
    public static final int NO_FD = 0x100;

    private static final byte[] NOTHING = {};
    private static final int REPLY_FLAGS = Message.VERSION | Message.REPLY;

    private boolean needReply;
    private Request last;

    FrontendMessages(final Path path, final boolean server) {
        super(path, server);
    }

    /** Sends a request that has no reply of its own. */
    public final void request(final Request request, final byte[] payload, final int... fds) {
        final int flags = Message.VERSION | (needReply ? Message.NEED_REPLY : 0);
        needReply = false;
        last = request;
        socket().send(Message.encode(request.number(), flags, payload), fds);
    }

    /** Sends a request and returns its checked reply, whose descriptors the caller then owns. */
    public final Message call(final Request request, final byte[] payload, final int replySize, final int... fds) {
        request(request, payload, fds);
        return reply(request.number(), replySize, request.name());
    }

    /** Waits for a reply and checks it. */
    public final Message reply(final int number, final int size, final String awaited) {
        final Message reply = socket().receive("the reply to " + awaited);
        if (reply.request() != number || reply.flags() != REPLY_FLAGS || reply.payload().length != size) {
            reply.closeFds();
            throw new AssertionError(
                    "reply to " + awaited + ": want request " + number + " flags 0x5 size " + size + ", got " + reply);
        }
        return reply;
    }

    /**
     * Runs one method of this class with NEED_REPLY set and returns the back-end's acknowledgement: 0 is success.
     * Not for requests that have a reply of their own.
     */
    public final long ackOf(final Runnable message) {
        needReply = true;
        message.run();
        return reply(last.number(), 8, "NEED_REPLY of " + last).payloadBuffer().getLong();
    }

    /** As {@link #ackOf}, and success is expected. */
    public final void mustAck(final Runnable message) {
        final long ack = ackOf(message);
        if (ack != 0) {
            throw new AssertionError(last + " was refused with " + ack);
        }
    }

    /** As {@link #ackOf}, and a refusal is expected. */
    public final void mustRefuse(final Runnable message) {
        if (ackOf(message) == 0) {
            throw new AssertionError(last + " should have been refused");
        }
    }

    public final long getFeatures() {
        return getU64(Request.GET_FEATURES);
    }

    public final void setFeatures(final long features) {
        request(Request.SET_FEATURES, Message.u64(features));
    }

    public final long getProtocolFeatures() {
        return getU64(Request.GET_PROTOCOL_FEATURES);
    }

    public final void setProtocolFeatures(final long features) {
        request(Request.SET_PROTOCOL_FEATURES, Message.u64(features));
    }

    public final void setOwner() {
        request(Request.SET_OWNER, NOTHING);
    }

    public final void resetOwner() {
        request(Request.RESET_OWNER, NOTHING);
    }

    public final void resetDevice() {
        request(Request.RESET_DEVICE, NOTHING);
    }

    /** Replaces the memory table; {@code fds} one for each region, in the same order. */
    public final void setMemTable(final List<Region> regions, final int... fds) {
        final ByteBuffer payload = Message.littleEndian(8 + 32 * regions.size())
                .putInt(regions.size())
                .putInt(0);
        regions.forEach(region -> putRegion(payload, region));
        request(Request.SET_MEM_TABLE, payload.array(), fds);
    }

    public final long getMaxMemSlots() {
        return getU64(Request.GET_MAX_MEM_SLOTS);
    }

    public final void addMemReg(final Region region, final int fd) {
        final ByteBuffer payload = Message.littleEndian(40).putLong(0);
        putRegion(payload, region);
        request(Request.ADD_MEM_REG, payload.array(), fd);
    }

    public final void remMemReg(final Region region) {
        final ByteBuffer payload = Message.littleEndian(40).putLong(0);
        putRegion(payload, region);
        request(Request.REM_MEM_REG, payload.array());
    }

    /** Maps a dirty log; always answered. The size of the reply's payload is the back-end's choice. */
    public final void setLogBase(final long size, final long offset, final int fd) {
        request(
                Request.SET_LOG_BASE,
                Message.littleEndian(16).putLong(size).putLong(offset).array(),
                fd);
        final Message reply = socket().receive("the reply to SET_LOG_BASE");
        if (reply.request() != Request.SET_LOG_BASE.number() || reply.flags() != REPLY_FLAGS) {
            throw new AssertionError("reply to SET_LOG_BASE: " + reply);
        }
    }

    public final void setLogFd(final int fd) {
        request(Request.SET_LOG_FD, NOTHING, fd);
    }

    /** @param num ring entries */
    public final void setVringNum(final int index, final int num) {
        request(Request.SET_VRING_NUM, Message.state(index, num));
    }

    public final void setVringBase(final int index, final int base) {
        request(Request.SET_VRING_BASE, Message.state(index, base));
    }

    /** Stops the ring and returns where it stopped: an index, or a {@link PackedBase}. */
    public final int getVringBase(final int index) {
        return getVringBase(index, 0);
    }

    /** @param num ignored by a back-end; virtio-user sends uninitialised memory */
    public final int getVringBase(final int index, final int num) {
        final ByteBuffer state =
                call(Request.GET_VRING_BASE, Message.state(index, num), 8).payloadBuffer();
        final int answered = state.getInt();
        if (answered != index) {
            throw new AssertionError("GET_VRING_BASE " + index + " answered for ring " + answered);
        }
        return state.getInt();
    }

    /** Size, base and addresses of a ring, as every front-end sends them before its kick. */
    public final void setVring(final int index, final GuestMemory memory, final RingLayout layout, final int base) {
        setVringNum(index, layout.size());
        setVringBase(index, base);
        setVringAddr(
                index,
                0,
                memory.uvaOf(layout.descGpa()),
                memory.uvaOf(layout.usedGpa()),
                memory.uvaOf(layout.availGpa()));
    }

    /** Addresses are front-end virtual. Order on the wire: index, flags, desc, used, avail, log. */
    public final void setVringAddr(
            final int index, final int flags, final long descUva, final long usedUva, final long availUva) {
        setVringAddr(index, flags, new long[] {descUva, usedUva, availUva, 0});
    }

    /** @param descUsedAvailLog the three uva and the guest physical address to log the used ring at */
    public final void setVringAddr(final int index, final int flags, final long[] descUsedAvailLog) {
        final ByteBuffer payload = Message.littleEndian(40).putInt(index).putInt(flags);
        for (final long address : descUsedAvailLog) {
            payload.putLong(address);
        }
        request(Request.SET_VRING_ADDR, payload.array());
    }

    public final void setVringKick(final int index, final int fd) {
        request(Request.SET_VRING_KICK, Message.u64(index), fd);
    }

    public final void setVringKickNoFd(final int index) {
        request(Request.SET_VRING_KICK, Message.u64(index | NO_FD));
    }

    public final void setVringCall(final int index, final int fd) {
        request(Request.SET_VRING_CALL, Message.u64(index), fd);
    }

    public final void setVringCallNoFd(final int index) {
        request(Request.SET_VRING_CALL, Message.u64(index | NO_FD));
    }

    public final void setVringErr(final int index, final int fd) {
        request(Request.SET_VRING_ERR, Message.u64(index), fd);
    }

    public final void setVringEnable(final int index, final boolean enabled) {
        request(Request.SET_VRING_ENABLE, Message.state(index, enabled ? 1 : 0));
    }

    public final void setVringEndian(final int index, final int bigEndian) {
        request(Request.SET_VRING_ENDIAN, Message.state(index, bigEndian));
    }

    public final long getQueueNum() {
        return getU64(Request.GET_QUEUE_NUM);
    }

    /** {@link #getQueueNum}, which must be enough. */
    final void requireQueueNum(final int pairs) {
        final long supported = getQueueNum();
        if (supported < pairs) {
            throw new AssertionError("back-end has " + supported + " queue pairs, wanted " + pairs);
        }
    }

    /** @param mac six bytes */
    public final void sendRarp(final byte[] mac) {
        request(Request.SEND_RARP, Message.littleEndian(8).put(mac).array());
    }

    public final void netSetMtu(final long mtu) {
        request(Request.NET_SET_MTU, Message.u64(mtu));
    }

    public final void setBackendReqFd(final int fd) {
        request(Request.SET_BACKEND_REQ_FD, NOTHING, fd);
    }

    public final void setStatus(final int status) {
        request(Request.SET_STATUS, Message.u64(status));
    }

    public final long getStatus() {
        return getU64(Request.GET_STATUS);
    }

    private long getU64(final Request request) {
        return call(request, NOTHING, 8).payloadBuffer().getLong();
    }

    private static void putRegion(final ByteBuffer payload, final Region region) {
        payload.putLong(region.gpa())
                .putLong(region.size())
                .putLong(region.uva())
                .putLong(region.mmapOffset());
    }
}
