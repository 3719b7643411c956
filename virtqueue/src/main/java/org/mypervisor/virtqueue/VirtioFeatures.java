package org.mypervisor.virtqueue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Feature bit numbers of virtio 1.2 §6 and §5.1.3, and of the vhost-user protocol where it borrows a virtio bit.
 *
 * <p>Constants are bit numbers; {@link #bit} is the only way to a mask, because {@code 1 << 32} is 1 in Java.
 */
public final class VirtioFeatures {
    public static final int VIRTIO_NET_F_CSUM = 0;
    public static final int VIRTIO_NET_F_GUEST_CSUM = 1;
    public static final int VIRTIO_NET_F_MTU = 3;
    public static final int VIRTIO_NET_F_GUEST_TSO4 = 7;
    public static final int VIRTIO_NET_F_GUEST_TSO6 = 8;
    public static final int VIRTIO_NET_F_GUEST_ECN = 9;
    public static final int VIRTIO_NET_F_HOST_TSO4 = 11;
    public static final int VIRTIO_NET_F_HOST_TSO6 = 12;
    public static final int VIRTIO_NET_F_HOST_ECN = 13;
    public static final int VIRTIO_NET_F_MRG_RXBUF = 15;
    public static final int VIRTIO_NET_F_GUEST_ANNOUNCE = 21;
    public static final int VIRTIO_NET_F_MQ = 22;
    public static final int VIRTIO_NET_F_GUEST_USO4 = 54;
    public static final int VIRTIO_NET_F_GUEST_USO6 = 55;
    public static final int VIRTIO_NET_F_HOST_USO = 56;
    public static final int VIRTIO_F_ANY_LAYOUT = 27;
    public static final int VIRTIO_F_INDIRECT_DESC = 28;
    public static final int VIRTIO_F_EVENT_IDX = 29;
    public static final int VHOST_USER_F_PROTOCOL_FEATURES = 30;
    public static final int VIRTIO_F_VERSION_1 = 32;
    public static final int VIRTIO_F_RING_PACKED = 34;
    public static final int VIRTIO_F_IN_ORDER = 35;

    private static final Map<Integer, String> NAMES = new TreeMap<>(Map.ofEntries(
            Map.entry(VIRTIO_NET_F_CSUM, "csum"),
            Map.entry(VIRTIO_NET_F_GUEST_CSUM, "guest_csum"),
            Map.entry(VIRTIO_NET_F_MTU, "mtu"),
            Map.entry(VIRTIO_NET_F_GUEST_TSO4, "guest_tso4"),
            Map.entry(VIRTIO_NET_F_GUEST_TSO6, "guest_tso6"),
            Map.entry(VIRTIO_NET_F_GUEST_ECN, "guest_ecn"),
            Map.entry(VIRTIO_NET_F_HOST_TSO4, "host_tso4"),
            Map.entry(VIRTIO_NET_F_HOST_TSO6, "host_tso6"),
            Map.entry(VIRTIO_NET_F_HOST_ECN, "host_ecn"),
            Map.entry(VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf"),
            Map.entry(VIRTIO_NET_F_GUEST_ANNOUNCE, "guest_announce"),
            Map.entry(VIRTIO_NET_F_MQ, "mq"),
            Map.entry(VIRTIO_F_ANY_LAYOUT, "any_layout"),
            Map.entry(VIRTIO_F_INDIRECT_DESC, "indirect_desc"),
            Map.entry(VIRTIO_F_EVENT_IDX, "event_idx"),
            Map.entry(VHOST_USER_F_PROTOCOL_FEATURES, "protocol_features"),
            Map.entry(VIRTIO_F_VERSION_1, "version_1"),
            Map.entry(VIRTIO_F_RING_PACKED, "ring_packed"),
            Map.entry(VIRTIO_F_IN_ORDER, "in_order"),
            Map.entry(VIRTIO_NET_F_GUEST_USO4, "guest_uso4"),
            Map.entry(VIRTIO_NET_F_GUEST_USO6, "guest_uso6"),
            Map.entry(VIRTIO_NET_F_HOST_USO, "host_uso")));

    private VirtioFeatures() {}

    public static long bit(final int number) {
        return 1L << number;
    }

    public static boolean has(final long features, final int number) {
        return (features & bit(number)) != 0;
    }

    /** A mask of several bits. */
    public static long mask(final int... numbers) {
        long mask = 0;
        for (final int number : numbers) {
            mask |= bit(number);
        }
        return mask;
    }

    /** Names of the set bits for people, lowest bit first; a bit without a name here appears as its number. */
    public static String names(final long features) {
        final List<String> names = new ArrayList<>();
        for (int number = 0; number < Long.SIZE; number++) {
            if (has(features, number)) {
                names.add(NAMES.getOrDefault(number, "bit" + number));
            }
        }
        return String.join(" ", names);
    }
}
