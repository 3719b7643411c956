package org.mypervisor.driversim;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Bytes and descriptors of single messages, and how a front-end takes wrong answers. */
final class FrontendMessagesTest {
    private static final Duration SHORT = Duration.ofMillis(30);

    @TempDir
    private Path folder;

    private Frontend frontend;
    private VhostUserSocket backend;

    @BeforeEach
    void connect() {
        frontend = Frontend.server(folder.resolve("s"));
        backend = VhostUserSocket.connect(folder.resolve("s"), Duration.ofSeconds(5));
        frontend.open();
    }

    @AfterEach
    void close() {
        frontend.close();
        backend.close();
    }

    @Test
    void shouldSendExactlyTheBytesOfTheSpecification() {
        assertSent("08000000" + "01000000" + "08000000" + "02000000" + "00010000", () -> frontend.setVringNum(2, 256));
        assertSent(
                "09000000" + "01000000" + "28000000" + "03000000" + "01000000" + "1000000000000000" + "2000000000000000"
                        + "3000000000000000" + "0000000000000000",
                () -> frontend.setVringAddr(3, 1, 0x10, 0x20, 0x30));
        assertSent("0d000000" + "01000000" + "08000000" + "0501000000000000", () -> frontend.setVringCallNoFd(5));
        assertSent("03000000" + "01000000" + "00000000", () -> frontend.setOwner());
        assertSent(
                "13000000" + "01000000" + "08000000" + "5254000000010000",
                () -> frontend.sendRarp(new byte[] {0x52, 0x54, 0, 0, 0, 1}));
        assertSent(
                "26000000" + "01000000" + "28000000" + "0000000000000000" + "0100000000000000" + "0200000000000000"
                        + "0300000000000000" + "0400000000000000",
                () -> frontend.remMemReg(new Region(1, 2, 3, 4)));
    }

    @Test
    void shouldSendTheMemoryTableWithADescriptorForEachRegion() {
        try (GuestMemoryFile memory = GuestMemoryFile.ofGpas(0x1000, 0x1000, 0x5000, 0x2000)) {
            frontend.setMemTable(memory.table(), memory.tableFds());
            final Message message = backend.receive("SET_MEM_TABLE");
            assertEquals(5, message.request());
            assertEquals(72, message.payload().length);
            assertEquals(2, message.payloadBuffer().getLong(0));
            final Region second = memory.table().get(1);
            assertEquals(0x5000, message.payloadBuffer().getLong(40));
            assertEquals(0x2000, message.payloadBuffer().getLong(48));
            assertEquals(second.uva(), message.payloadBuffer().getLong(56));
            assertEquals(second.mmapOffset(), message.payloadBuffer().getLong(64));
            assertEquals(2, message.fds().length);
            memory.putU8(0x5000, 42);
            try (GuestMemory mapped = new GuestMemory()) {
                mapped.map(second, message.fds()[1]);
                assertEquals(42, mapped.u8(0x5000));
            }
            message.closeFds();
        }
    }

    @Test
    void shouldPassAWorkingEventfd() {
        try (EventFd kick = EventFd.create(0)) {
            frontend.setVringKick(1, kick.fd());
            final Message message = backend.receive("SET_VRING_KICK");
            try (EventFd received = EventFd.adopt(message.fds()[0])) {
                assertEquals(0, received.drain());
                kick.signal();
                kick.signal();
                assertTrue(received.await(SHORT));
                assertEquals(2, received.drain());
                assertFalse(received.await(Duration.ZERO));
            }
        }
    }

    @Test
    void shouldCheckEveryFieldOfAReply() {
        backend.send(Message.encode(1, 5, Message.u64(0x1234)));
        assertEquals(0x1234, frontend.getFeatures());
        backend.send(Message.encode(1, 1, Message.u64(0)));
        assertThrows(AssertionError.class, () -> frontend.getFeatures());
        backend.send(Message.encode(1, 0xd, Message.u64(0)));
        assertThrows(AssertionError.class, () -> frontend.getFeatures());
        backend.send(Message.encode(2, 5, Message.u64(0)));
        assertThrows(AssertionError.class, () -> frontend.getFeatures());
        backend.send(Message.encode(1, 5, new byte[4]));
        assertThrows(AssertionError.class, () -> frontend.getFeatures());
        backend.send(Message.encode(11, 5, Message.state(7, 0)));
        assertThrows(AssertionError.class, () -> frontend.getVringBase(6));
    }

    @Test
    void shouldAskForAnAcknowledgementOnlyWhenTold() {
        backend.send(Message.encode(20, 5, Message.u64(0)));
        frontend.mustAck(() -> frontend.netSetMtu(1500));
        assertEquals(9, backend.receive("NET_SET_MTU").flags());
        backend.send(Message.encode(20, 5, Message.u64(1)));
        frontend.mustRefuse(() -> frontend.netSetMtu(10));
        backend.receive("NET_SET_MTU");
        backend.send(Message.encode(20, 5, Message.u64(1)));
        assertThrows(AssertionError.class, () -> frontend.mustAck(() -> frontend.netSetMtu(10)));
        backend.receive("NET_SET_MTU");
        frontend.netSetMtu(1500);
        assertEquals(1, backend.receive("NET_SET_MTU").flags());
    }

    @Test
    void shouldSayWhatWasAwaitedWhenNothingCame() {
        frontend.setTimeout(SHORT);
        final AssertionError timeout = assertThrows(AssertionError.class, () -> frontend.getQueueNum());
        assertTrue(timeout.getMessage().contains("GET_QUEUE_NUM"), timeout.getMessage());
        backend.close();
        final AssertionError closed = assertThrows(AssertionError.class, () -> frontend.reply(1, 8, "GET_FEATURES"));
        assertTrue(closed.getMessage().contains("closed"), closed.getMessage());
    }

    @Test
    void shouldTellSilenceFromBytesFromTheEnd() {
        frontend.setTimeout(SHORT);
        frontend.socket().expectSilence(SHORT);
        assertThrows(AssertionError.class, () -> frontend.socket().expectClosed());
        backend.send(new byte[] {1});
        assertThrows(AssertionError.class, () -> frontend.socket().expectSilence(SHORT));
        backend.close();
        frontend.socket().expectClosed();
        assertThrows(AssertionError.class, () -> frontend.socket().expectSilence(SHORT));
        assertFalse(frontend.socket().trySend(new byte[100]));
    }

    @Test
    void shouldSendHostileBytesAsGiven() throws IOException {
        try (EventFd any = EventFd.create(0)) {
            final byte[] bytes = Message.encode(99, 0x3, 4, new byte[4]);
            assertTrue(frontend.socket().trySendOneByteAtATime(bytes, any.fd(), any.fd(), any.fd()));
            final Message message = backend.receive("anything");
            assertEquals(99, message.request());
            assertEquals(3, message.flags());
            assertEquals(3, message.fds().length);
            message.closeFds();
            final int[] many = new int[200];
            Arrays.fill(many, any.fd());
            final long before = Resources.openDescriptors();
            frontend.socket().send(Message.encode(1, 1, new byte[0]), many);
            final Message flood = backend.receive("anything");
            assertEquals(200, flood.fds().length);
            flood.closeFds();
            assertEquals(before, Resources.openDescriptors());
        }
    }

    @Test
    void shouldEndTheStreamBetweenMessages() {
        frontend.disconnect();
        assertNull(backend.receiveOrNull("anything"));
        assertThrows(IllegalStateException.class, () -> frontend.socket());
    }

    @Test
    void shouldCountEachMessageInTheRequestTable() {
        frontend.request(Request.SET_LOG_FD, new byte[0]);
        assertArrayEquals(new byte[0], backend.receive("SET_LOG_FD").payload());
        backend.send(Message.encode(31, 5, new byte[24]));
        assertEquals(
                24, frontend.call(Request.GET_INFLIGHT_FD, new byte[24], 24).payload().length);
        assertEquals(List.of(31), List.of(backend.receive("GET_INFLIGHT_FD").request()));
    }

    private void assertSent(final String hex, final Runnable message) {
        message.run();
        final Message received = backend.receive("the message");
        assertEquals(
                hex,
                HexFormat.of().formatHex(Message.encode(received.request(), received.flags(), received.payload())));
        assertEquals(0, received.fds().length);
    }
}
