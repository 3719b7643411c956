package org.mypervisor.vhostuser;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.mypervisor.virtqueue.VirtioFeatures.bit;

import org.junit.jupiter.api.Test;
import org.mypervisor.virtqueue.VirtioFeatures;

/** What the log says of features that were offered in vain. */
class FeatureHintTest {
    private static String hintWithout(final long features, final DeviceOptions options) throws ProtocolException {
        final FeatureNegotiation negotiation = new FeatureNegotiation(options);
        negotiation.accept(negotiation.offered() & ~features, false);
        return negotiation.hint();
    }

    @Test
    void shouldNameWhatIsMissingAndItsOptions() throws ProtocolException {
        final long missing = bit(VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF) | bit(VirtioFeatures.VIRTIO_F_EVENT_IDX);
        assertEquals(
                "offered, but not in use: mrg_rxbuf event_idx; QEMU passes them on with "
                        + "-device virtio-net-pci,mrg_rxbuf=on,event_idx=on, if the driver wants them",
                hintWithout(missing, DeviceOptions.defaults()));
        assertEquals(
                "offered, but not in use: mq; QEMU passes them on with -device virtio-net-pci,mq=on, if the driver wants them",
                hintWithout(
                        bit(VirtioFeatures.VIRTIO_NET_F_MQ), new DeviceOptions(2, true, true, true, true, true, true)));
    }

    /** QEMU never passes in_order on; what this port does not offer is nobody's mistake. */
    @Test
    void shouldNotCryWolf() throws ProtocolException {
        assertEquals(
                "",
                hintWithout(
                        bit(VirtioFeatures.VIRTIO_F_IN_ORDER),
                        new DeviceOptions(1, true, true, true, true, true, true)));
        assertEquals(
                "",
                hintWithout(
                        bit(VirtioFeatures.VIRTIO_NET_F_MRG_RXBUF) | bit(VirtioFeatures.VIRTIO_NET_F_MQ),
                        new DeviceOptions(1, false, true, true, false, true, true)));
    }
}
