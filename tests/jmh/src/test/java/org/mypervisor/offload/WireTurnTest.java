package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.jmh.SteadyRing;
import org.mypervisor.virtqueue.BufferBurst;

/** How far one turn of a wire goes, with drivers that stand still meanwhile. */
class WireTurnTest {
    private static final byte[] FRAME = new byte[60];

    private static PolledGuest guest(final String id, final boolean packed) {
        return PolledGuest.of(id, SteadyRing.receiveq(packed), SteadyRing.transmitq(packed, () -> FRAME));
    }

    private static Wire wire(final PolledGuest from, final PolledGuest to, final long patienceNanos) {
        return new Wire(
                new WireEnds(from.port(), 0, to.port(), new Port[0]),
                new Path("from -> to"),
                new Element[0],
                new Patience(patienceNanos));
    }

    /** Takes all that the rings had at first. */
    private static void drain(final Wire wire) {
        int taken = wire.forward(0);
        assertEquals(BufferBurst.MOST, taken, "frames that go together");
        for (int turn = wire.forward(0); turn != 0; turn = wire.forward(0)) {
            taken += turn;
        }
        assertEquals(SteadyRing.SIZE, taken);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldEndWithTheBurstThatFilledTheLastBuffer(final boolean packed) {
        try (PolledGuest from = guest("from", packed);
                PolledGuest to = guest("to", packed)) {
            final Wire wire = wire(from, to, 0);
            drain(wire);
            from.transmitq().refill(32);
            to.receiveq().refill(8);
            assertEquals(8, wire.forward(0));
            assertFalse(wire.isWaiting(), "the ninth frame has not been looked at alone");
            assertEquals(0, wire.forward(0));
            assertTrue(wire.isWaiting());
            to.receiveq().refill(24);
            assertEquals(24, wire.forward(0), "behind a frame that waited the others go too");
            assertFalse(wire.isWaiting());
            assertEquals(SteadyRing.SIZE + 32, to.port().sentPackets.get());
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldWaitForABurstOfABusyDriverOnly(final boolean packed) {
        try (PolledGuest from = guest("from", packed);
                PolledGuest to = guest("to", packed)) {
            final Wire wire = wire(from, to, 5_000);
            drain(wire);
            to.receiveq().refill(SteadyRing.SIZE);
            assertEquals(0, wire.forward(100), "nothing is there");
            from.transmitq().refill(8);
            assertEquals(0, wire.forward(200), "more may come");
            assertEquals(0, wire.forward(5_099));
            from.transmitq().refill(24);
            assertEquals(32, wire.forward(5_099), "a burst is there");
            assertEquals(0, wire.forward(55_098));
            from.transmitq().refill(8);
            assertEquals(0, wire.forward(55_099), "still busy");
            assertEquals(8, wire.forward(60_098), "they waited long enough");
            from.transmitq().refill(1);
            assertEquals(1, wire.forward(60_098), "eight in a turn do not make a busy driver");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldNotWaitForADriverThatIsCalmAgain(final boolean packed) {
        try (PolledGuest from = guest("from", packed);
                PolledGuest to = guest("to", packed)) {
            final Wire wire = wire(from, to, 5_000);
            drain(wire);
            to.receiveq().refill(SteadyRing.SIZE);
            assertEquals(0, wire.forward(50_000));
            from.transmitq().refill(1);
            assertEquals(1, wire.forward(50_001));
        }
    }

    /** As one does that has 16 frames in flight at most. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void shouldSeldomWaitInVain(final boolean packed) {
        try (PolledGuest from = guest("from", packed);
                PolledGuest to = guest("to", packed)) {
            final Wire wire = wire(from, to, 5_000);
            drain(wire);
            long now = 0;
            int held = 0;
            for (int turn = 0; turn < 650; turn++) {
                to.receiveq().refill(16);
                from.transmitq().refill(16);
                while (wire.forward(now) == 0) {
                    now += 5_000;
                    held++;
                }
            }
            assertEquals(10, held);
        }
    }
}
