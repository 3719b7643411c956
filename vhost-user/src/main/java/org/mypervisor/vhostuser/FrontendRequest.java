package org.mypervisor.vhostuser;

/**
 * The one table of messages from a front-end: number, payload, descriptors, reply, and the feature that allows it, as
 * in the vhost-user specification, section "Front-end message types".
 *
 * <p>Messages that depend on features we do not offer are absent: they are answered as unknown ones.
 */
enum FrontendRequest {
    GET_FEATURES(1, 0, Fds.NONE, Reply.OWN),
    SET_FEATURES(2, 8, Fds.NONE, Reply.ACK),
    SET_OWNER(3, 0, Fds.NONE, Reply.ACK),
    RESET_OWNER(4, 0, Fds.NONE, Reply.ACK),
    SET_MEM_TABLE(5, FrontendRequest.VARIABLE, Fds.PER_REGION, Reply.ACK),
    SET_VRING_NUM(8, 8, Fds.NONE, Reply.ACK),
    SET_VRING_ADDR(9, 40, Fds.NONE, Reply.ACK),
    SET_VRING_BASE(10, 8, Fds.NONE, Reply.ACK),
    GET_VRING_BASE(11, 8, Fds.NONE, Reply.OWN),
    SET_VRING_KICK(12, 8, Fds.UNLESS_NOFD, Reply.ACK),
    SET_VRING_CALL(13, 8, Fds.UNLESS_NOFD, Reply.ACK),
    SET_VRING_ERR(14, 8, Fds.UNLESS_NOFD, Reply.ACK),
    GET_PROTOCOL_FEATURES(15, 0, Fds.NONE, Reply.OWN),
    SET_PROTOCOL_FEATURES(16, 8, Fds.NONE, Reply.ACK),
    GET_QUEUE_NUM(17, 0, Fds.NONE, Reply.OWN),
    SET_VRING_ENABLE(18, 8, Fds.NONE, Reply.ACK),
    SEND_RARP(19, 8, Fds.NONE, Reply.ACK),
    NET_SET_MTU(20, 8, Fds.NONE, Reply.ACK);

    /** Payload whose size depends on its content. */
    static final int VARIABLE = -1;

    /** How many file descriptors come with a message. */
    enum Fds {
        NONE,
        PER_REGION,
        /** One, or none when bit 8 of the payload says so. */
        UNLESS_NOFD
    }

    /** What the front-end gets back. */
    enum Reply {
        /** A reply of the message's own, always. */
        OWN,
        /** A u64 acknowledgement, when the message's NEED_REPLY flag asks for it. */
        ACK
    }

    private static final FrontendRequest[] BY_NUMBER = byNumber();

    private final int number;
    private final int payloadSize;
    private final Fds fds;
    private final Reply reply;

    FrontendRequest(final int number, final int payloadSize, final Fds fds, final Reply reply) {
        this.number = number;
        this.payloadSize = payloadSize;
        this.fds = fds;
        this.reply = reply;
    }

    /** The row of this request number, or null when we know none. */
    static FrontendRequest of(final int number) {
        return number >= 0 && number < BY_NUMBER.length ? BY_NUMBER[number] : null;
    }

    Reply reply() {
        return reply;
    }

    /** Refuses a message of the wrong size, or with the wrong number of descriptors. */
    void checkShape(final Message message) throws ProtocolException {
        final int size = message.payload.remaining();
        if (payloadSize != VARIABLE && size != payloadSize) {
            throw new ProtocolException(this, "size=%d, must be %d".formatted(size, payloadSize));
        }
        final int expected =
                switch (fds) {
                    case NONE -> 0;
                    case UNLESS_NOFD -> (message.payload.getLong(0) & Vrings.NOFD) == 0 ? 1 : 0;
                    case PER_REGION -> message.fdCount();
                };
        if (message.fdCount() != expected) {
            throw new ProtocolException(
                    this, "%d descriptors came along, must be %d".formatted(message.fdCount(), expected));
        }
    }

    private static FrontendRequest[] byNumber() {
        int highest = 0;
        for (final FrontendRequest request : values()) {
            highest = Math.max(highest, request.number);
        }
        final FrontendRequest[] table = new FrontendRequest[highest + 1];
        for (final FrontendRequest request : values()) {
            table[request.number] = request;
        }
        return table;
    }
}
