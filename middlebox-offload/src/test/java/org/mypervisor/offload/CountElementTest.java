package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class CountElementTest {
    @Test
    void shouldPassAndCountWholeFrames() {
        final CountElement count = new CountElement();
        final Packet packet = new Packet();
        for (final int length : new int[] {0, 60, 1514, 65549}) {
            packet.load(length);
            assertEquals(Element.PASS, count.process(packet));
        }
        assertEquals(4, count.packets());
        assertEquals(60 + 1514 + 65549, count.bytes());
    }
}
