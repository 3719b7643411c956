package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.driversim.EventFd;

/** DPDK bc900f86aa, VPP 4448957b186, spdk#162: what a connection brought is gone when it is. */
@Timeout(60)
class ReconnectTest {
    private static final int TIMES = 200;

    @TempDir
    Path folder;

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldHoldNothingMoreAfterManyReconnects_spdk_162_VPP_4448957b186(final boolean packed) {
        try (TestPort port = TestPort.running(folder, TestPort.likeQemu(packed))) {
            port.assertRingsWork();
            final ProcessState before = ProcessState.now();
            for (int i = 1; i <= TIMES; i++) {
                port.frontend.reconnectLikeQemu(port.memory, port.vrings);
                port.fence();
                port.assertRingsWork();
                assertEquals(
                        port.baseAfter(i + 1), port.recorder.ring(1).queue().base());
            }
            before.awaitSame();
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldHoldNothingMoreAfterManyStops_6dc3f119ce(final boolean packed) {
        try (TestPort port = TestPort.running(folder, TestPort.likeQemu(packed))) {
            port.assertRingsWork();
            final ProcessState before = ProcessState.now();
            for (int i = 0; i < TIMES; i++) {
                port.frontend.stop(port.vrings);
                port.frontend.startLikeQemu(port.memory, port.vrings);
                port.fence();
                port.assertRingsWork();
            }
            before.awaitSame();
        }
    }

    /** What was closed twice would be somebody else's the second time: here, that of a thread that opens all the time. */
    @Test
    void shouldCloseNoDescriptorTwice_f298ecfe1d4() throws InterruptedException {
        final AtomicBoolean enough = new AtomicBoolean();
        final AtomicLong opened = new AtomicLong();
        final AtomicLong stolen = new AtomicLong();
        final Thread neighbour = new Thread(() -> {
            while (!enough.get()) {
                try (EventFd own = EventFd.create(0)) {
                    Thread.yield();
                    own.signal();
                    opened.incrementAndGet();
                    stolen.addAndGet(1 - own.drain());
                }
            }
        });
        try (TestPort port = TestPort.running(folder)) {
            neighbour.start();
            for (int i = 1; i <= TIMES || opened.get() <= TIMES; i++) {
                port.frontend.reconnectLikeQemu(port.memory, port.vrings);
                port.frontend.mustRefuse(() -> port.frontend.setVringCall(0, port.memory.fd()));
                port.fence();
            }
        } finally {
            enough.set(true);
            neighbour.join();
        }
        assertEquals(0, stolen.get());
    }

    /** CVE-2019-14818: setup messages that come again replace what they brought before. */
    @Test
    void shouldReplaceWhatSetupMessagesBrought_CVE_2019_14818() {
        try (TestPort port = TestPort.running(folder);
                EventFd fd = EventFd.create(0)) {
            final ProcessState before = ProcessState.now();
            for (int i = 0; i < 100; i++) {
                port.frontend.setVringCall(0, fd.fd());
                port.frontend.setVringErr(0, fd.fd());
                port.frontend.setVringKick(0, fd.fd());
            }
            port.fence();
            before.awaitSame();
        }
    }

    @Test
    void shouldLetGoOfEverythingWhenClosed_21d9fb6bad() {
        final ProcessState before = ProcessState.now();
        for (int i = 0; i < 5; i++) {
            try (TestPort port = TestPort.running(folder)) {
                port.assertRingsWork();
            }
        }
        before.awaitSame();
    }

    @Test
    void shouldStopRingsWhenFrontEndDies_73ea44370d() {
        try (TestPort port = TestPort.running(folder)) {
            port.recorder.takeEvents();
            port.frontend.disconnect();
            port.awaitState(Endpoint.State.DOWN);
            assertEquals(0, port.endpoint.features());
            assertEquals(java.util.List.of("stop 0", "stop 1"), port.recorder.takeEvents());
            assertTrue(!port.recorder.isEnabled(0) && !port.recorder.isEnabled(1));
        }
    }
}
