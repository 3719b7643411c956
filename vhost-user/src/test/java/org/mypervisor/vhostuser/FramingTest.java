package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.EventFd;
import org.mypervisor.driversim.Message;
import org.mypervisor.driversim.Request;
import org.mypervisor.driversim.VhostUserSocket;

/** Bytes on the stream: headers that cannot be, pieces, ends in the middle, floods of descriptors. */
@Timeout(60)
class FramingTest {
    private static final byte[] NOTHING = {};

    @TempDir
    Path folder;

    private TestPort open() {
        final TestPort port = TestPort.listening(folder);
        port.frontend.open();
        return port;
    }

    /** Version is bits 0-1 and must be 1; bit 2 marks a reply, which a front-end does not send here. */
    @ParameterizedTest
    @ValueSource(ints = {0, 2, 3, 8, 0xA, 5, 0xD, 4})
    void shouldCloseWhenFlagsAreNoRequestOfVersion1(final int flags) {
        try (TestPort port = open()) {
            port.frontend.socket().send(Message.encode(1, flags, NOTHING));
            port.frontend.socket().expectClosed();
            port.assertServesTheNext();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {4097, 65536, 0x7FFF_FFFF, 0x8000_0000, -1})
    void shouldCloseWhenPayloadIsTooLong(final int size) {
        try (TestPort port = open()) {
            port.frontend.socket().send(Message.encode(Request.SET_MEM_TABLE.number(), 9, size, new byte[16]));
            port.frontend.socket().expectClosed();
            port.assertServesTheNext();
        }
    }

    @Test
    void shouldPutMessageTogetherWhenItComesByteByByte() {
        try (TestPort port = open();
                EventFd call = EventFd.create(0)) {
            final VhostUserSocket socket = port.frontend.socket();
            final byte[] message = Message.encode(Request.SET_VRING_CALL.number(), 9, Message.u64(1));
            assertTrue(socket.trySendOneByteAtATime(message, call.fd()));
            assertTrue(port.frontend
                            .reply(Request.SET_VRING_CALL.number(), 8, "ack")
                            .payloadBuffer()
                            .getLong()
                    == 0);
        }
    }

    @Test
    void shouldSeparateMessagesThatComeTogether() {
        try (TestPort port = open()) {
            final byte[] one = Message.encode(1, 1, NOTHING);
            final byte[] many = new byte[50 * one.length];
            for (int i = 0; i < 50; i++) {
                System.arraycopy(one, 0, many, i * one.length, one.length);
            }
            port.frontend.socket().send(many);
            for (int i = 0; i < 50; i++) {
                port.frontend.reply(1, 8, "GET_FEATURES " + i);
            }
        }
    }

    /** 218daf1664, 585283f9a7: whatever is cut short, its descriptors are closed. */
    @ParameterizedTest
    @ValueSource(ints = {1, 4, 11, 12, 13, 19})
    void shouldCleanUpWhenFrontEndGoesInTheMiddleOfAMessage_218daf1664(final int bytes) {
        try (TestPort port = open();
                EventFd fd = EventFd.create(0)) {
            port.fence();
            final ProcessState before = ProcessState.now();
            for (int lap = 0; lap < 5; lap++) {
                final byte[] message = Message.encode(Request.SET_VRING_KICK.number(), 1, Message.u64(0));
                port.frontend.socket().send(Arrays.copyOf(message, bytes), fd.fd(), fd.fd(), fd.fd());
                port.frontend.disconnect();
                port.frontend.open();
                port.fence();
            }
            before.awaitSame();
            port.assertServesTheNext();
        }
    }

    /** More descriptors than a message may carry, up to the kernel's own limit of 253. */
    @ParameterizedTest
    @ValueSource(ints = {9, 16, 17, 64, 253})
    void shouldCloseEveryDescriptorOfAFlood_CVE_2019_14818(final int count) {
        try (TestPort port = open();
                EventFd fd = EventFd.create(0)) {
            port.fence();
            final ProcessState before = ProcessState.now();
            final int[] fds = new int[count];
            Arrays.fill(fds, fd.fd());
            port.frontend.socket().send(Message.encode(Request.SET_MEM_TABLE.number(), 1, Message.u64(count)), fds);
            port.frontend.socket().expectClosed();
            port.frontend.disconnect();
            port.frontend.open();
            port.fence();
            before.awaitSame();
        }
    }

    /** Descriptors ride on a message's first byte; those that come with its payload belong to nothing. */
    @Test
    void shouldCloseDescriptorsThatComeWithThePayload_585283f9a7() {
        try (TestPort port = open();
                EventFd fd = EventFd.create(0)) {
            port.fence();
            final ProcessState before = ProcessState.now();
            final byte[] message = Message.encode(Request.SET_VRING_CALL.number(), 1, Message.u64(0));
            final VhostUserSocket socket = port.frontend.socket();
            socket.send(Arrays.copyOf(message, 12));
            socket.send(Arrays.copyOfRange(message, 12, 20), fd.fd());
            socket.expectClosed();
            port.frontend.disconnect();
            port.frontend.open();
            port.fence();
            before.awaitSame();
        }
    }

    /** A front-end that asks and never reads costs itself its connection, and nobody else anything. */
    @Test
    void shouldGiveUpFrontEndThatNeverReadsItsReplies() {
        try (TestPort port = open()) {
            final byte[] question = Message.encode(1, 1, NOTHING);
            final VhostUserSocket deaf = port.frontend.socket();
            int sent = 0;
            while (sent < 1_000_000 && deaf.trySend(question)) {
                sent++;
            }
            assertTrue(sent < 1_000_000, "the connection was never closed");
            assertFalse(deaf.trySend(question));
            port.assertServesTheNext();
        }
    }

    @Test
    void shouldEndAtOnceWhileAFrontEndSaysNothing() throws Exception {
        final TestPort port = open();
        port.frontend.socket().send(new byte[] {1, 0, 0});
        final long begin = System.nanoTime();
        port.close();
        assertTrue(System.nanoTime() - begin < 1_000_000_000L, "close waits for nobody");
    }
}
