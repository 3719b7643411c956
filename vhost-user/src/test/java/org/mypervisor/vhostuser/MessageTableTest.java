package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.EventFd;
import org.mypervisor.driversim.Message;

/**
 * Every message number, well formed and not, answered as the vhost-user specification says: a reply of its own, an
 * acknowledgement if asked for, or the end of the connection. The table is typed from the specification.
 */
@Timeout(30)
class MessageTableTest {
    private static final int PLAIN = 1;
    private static final int NEED_REPLY = 9;

    /** A message we serve: a payload that is right, and the size of its own reply, 0 when it has none. */
    private record Row(int number, byte[] payload, int replySize) {
        @Override
        public String toString() {
            return "message " + number;
        }
    }

    private static final byte[] NOTHING = {};
    private static final byte[] NO_FD_RING_0 = Message.u64(0x100);

    private static final Map<Integer, Row> SERVED = Stream.of(
                    new Row(1, NOTHING, 8), // GET_FEATURES
                    new Row(2, Message.u64(1L << 32), 0), // SET_FEATURES
                    new Row(3, NOTHING, 0), // SET_OWNER
                    new Row(4, NOTHING, 0), // RESET_OWNER
                    new Row(5, Message.u64(0), 0), // SET_MEM_TABLE of no region
                    new Row(8, Message.state(1, 256), 0), // SET_VRING_NUM
                    new Row(9, new byte[40], 0), // SET_VRING_ADDR
                    new Row(10, Message.state(1, 0xFFFF), 0), // SET_VRING_BASE
                    new Row(11, Message.state(1, 0x5A5A1234), 8), // GET_VRING_BASE, num is garbage
                    new Row(12, NO_FD_RING_0, 0), // SET_VRING_KICK
                    new Row(13, NO_FD_RING_0, 0), // SET_VRING_CALL
                    new Row(14, NO_FD_RING_0, 0), // SET_VRING_ERR
                    new Row(15, NOTHING, 8), // GET_PROTOCOL_FEATURES
                    new Row(16, Message.u64(1 | 1 << 3), 0), // SET_PROTOCOL_FEATURES
                    new Row(17, NOTHING, 8), // GET_QUEUE_NUM
                    new Row(18, Message.state(1, 1), 0), // SET_VRING_ENABLE
                    new Row(19, Message.u64(0x0012_5452L), 0), // SEND_RARP
                    new Row(20, Message.u64(1500), 0)) // NET_SET_MTU
            .collect(java.util.stream.Collectors.toMap(Row::number, row -> row));

    @TempDir
    Path folder;

    private static Stream<Row> served() {
        return SERVED.values().stream();
    }

    private static IntStream notServed() {
        final IntStream odd = IntStream.of(0, 46, 255, 256, 0x8000_0001, -1);
        return IntStream.concat(IntStream.rangeClosed(1, 45), odd).filter(number -> !SERVED.containsKey(number));
    }

    private TestPort open() {
        final TestPort port = TestPort.listening(folder);
        port.frontend.open();
        return port;
    }

    private static void send(final TestPort port, final int number, final int flags, final byte[] payload) {
        port.frontend.socket().send(Message.encode(number, flags, payload));
    }

    private static long ack(final TestPort port, final int number) {
        return port.frontend
                .reply(number, 8, "ack of " + number)
                .payloadBuffer()
                .getLong();
    }

    /** Answered once, with flags 5 and nothing behind it, or not at all: the next reply is the next question's. */
    @ParameterizedTest
    @MethodSource("served")
    void shouldAnswerOnlyWithAReplyOfItsOwnWhenNoneWasAsked(final Row row) {
        try (TestPort port = open()) {
            send(port, row.number, PLAIN, row.payload);
            if (row.replySize > 0) {
                port.frontend.reply(row.number, row.replySize, row.toString());
            }
            port.fence();
            port.fence();
        }
    }

    @ParameterizedTest
    @MethodSource("served")
    void shouldAnswerOnceWhenReplyWasAsked(final Row row) {
        try (TestPort port = open()) {
            send(port, row.number, NEED_REPLY, row.payload);
            if (row.replySize > 0) {
                port.frontend.reply(row.number, row.replySize, row.toString());
            } else {
                assertEquals(0, ack(port, row.number));
            }
            port.fence();
            port.fence();
        }
    }

    @ParameterizedTest
    @MethodSource("served")
    void shouldRefuseWrongSize(final Row row) {
        final int size = row.payload.length;
        final int[] wrong = {0, 1, size - 1, size + 1, size + 8, 4096};
        for (final int bytes :
                Arrays.stream(wrong).filter(b -> b != size && b >= 0).toArray()) {
            try (TestPort port = open()) {
                final byte[] payload = Arrays.copyOf(row.payload, bytes);
                if (row.replySize == 0) {
                    send(port, row.number, NEED_REPLY, payload);
                    assertEquals(1, ack(port, row.number), row + " of " + bytes + " bytes");
                    port.fence();
                }
                send(port, row.number, PLAIN, payload);
                port.frontend.socket().expectClosed();
                port.assertServesTheNext();
            }
        }
    }

    /** CVE-2019-14818, af74f7db38: descriptors that do not belong to a message are closed and the message fails. */
    @ParameterizedTest
    @MethodSource("served")
    void shouldCloseUnexpectedDescriptors_CVE_2019_14818(final Row row) {
        try (TestPort port = open();
                EventFd fd = EventFd.create(0)) {
            port.fence();
            final ProcessState before = ProcessState.now();
            for (int count = 1; count <= 16 && row.replySize == 0; count++) {
                final int[] fds = new int[count];
                Arrays.fill(fds, fd.fd());
                port.frontend.socket().send(Message.encode(row.number, NEED_REPLY, row.payload), fds);
                assertEquals(1, ack(port, row.number), row + " with " + count + " descriptors");
            }
            before.awaitSame();
            port.frontend.socket().send(Message.encode(row.number, PLAIN, row.payload), fd.fd(), fd.fd());
            port.frontend.socket().expectClosed();
            port.frontend.disconnect();
            port.frontend.open();
            port.fence();
            before.awaitSame();
        }
    }

    /** Deprecated, optional and unheard-of messages alike: we offered none of their features. */
    @ParameterizedTest
    @MethodSource("notServed")
    void shouldRefuseUnknownMessageWhenReplyWasAsked(final int number) {
        try (TestPort port = open();
                EventFd fd = EventFd.create(0)) {
            port.fence();
            final ProcessState before = ProcessState.now();
            for (final int size : new int[] {0, 8, 4096}) {
                port.frontend.socket().send(Message.encode(number, NEED_REPLY, new byte[size]), fd.fd());
                assertEquals(1, ack(port, number));
                port.fence();
            }
            before.awaitSame();
        }
    }

    @ParameterizedTest
    @MethodSource("notServed")
    void shouldCloseWhenUnknownMessageWantsNoReply(final int number) {
        try (TestPort port = open()) {
            send(port, number, PLAIN, new byte[8]);
            port.frontend.socket().expectClosed();
            port.assertServesTheNext();
        }
    }

    /** 12, 13, 14: without the NOFD bit one descriptor must come. DPDK 1407b0752e: with it none may. */
    @ParameterizedTest
    @ValueSource(ints = {12, 13, 14})
    void shouldRefuseTooFewDescriptors(final int number) {
        try (TestPort port = open()) {
            send(port, number, NEED_REPLY, Message.u64(0));
            assertEquals(1, ack(port, number));
            send(port, number, NEED_REPLY, Message.u64(0x101));
            assertEquals(0, ack(port, number));
        }
    }
}
