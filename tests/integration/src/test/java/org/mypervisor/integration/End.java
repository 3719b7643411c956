package org.mypervisor.integration;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/** One end of a path: a network namespace, the interface in it, and the port through which the back-end reaches that. */
final class End implements AutoCloseable {
    /** How the namespace is reached. */
    enum Kind {
        /** The port is a socket; behind it a guest bridges its NIC with a tap of QEMU's that lies in the namespace. */
        VHOST_USER("vu"),
        /** The port makes a tap, which is then moved into the namespace. */
        TAP("tap"),
        /** The port takes the host's end of a veth whose other end lies in the namespace. */
        AF_PACKET("af"),
        /** The same, and the namespace's end sends complete frames only. */
        AF_XDP("xdp");

        private final String word;

        Kind(final String word) {
            this.word = word;
        }

        String word() {
            return word;
        }
    }

    private static final String BRIDGE_BOTH = "modprobe bridge && brctl addbr br0 && cd /sys/class/net/br0/bridge"
            + " && echo 0 > forward_delay && echo 0 > multicast_snooping && cd /sys/class/net"
            + " && for nic in nic0 eth*; do brctl addif br0 $nic && ip link set $nic up || exit; done && ip link set br0 up";

    private final Kind kind;
    private final String id;
    private final NetNamespace hub;
    private final NetNamespace namespace = new NetNamespace();
    private final Path socket;
    private final boolean offloads;
    private Guest guest;
    private boolean hasBridge;

    /**
     * @param hub where the back-end runs
     * @param folder for a socket
     */
    End(final Kind kind, final String id, final boolean offloads, final NetNamespace hub, final Path folder)
            throws IOException {
        this.kind = kind;
        this.id = id;
        this.hub = hub;
        this.offloads = offloads;
        this.socket = folder.resolve(id + ".sock");
        try {
            reach();
        } catch (final IOException | RuntimeException | Error e) {
            namespace.close();
            throw e;
        }
    }

    private void reach() throws IOException {
        switch (kind) {
            case VHOST_USER ->
                guest = Guest.start(
                        namespace.command(),
                        socket.getParent(),
                        id,
                        "microvm",
                        List.of(socket + ",rx_queue_size=1024"),
                        List.of(
                                "-netdev",
                                "tap,id=behind,ifname=" + nic() + ",script=no,downscript=no,vhost=off",
                                "-device",
                                "virtio-net-device,netdev=behind,rx_queue_size=1024"));
            case AF_PACKET -> hub.addVeth(hubInterface(), nic(), namespace);
            case AF_XDP -> {
                hub.addVeth(hubInterface(), nic(), namespace);
                namespace.sendCompleteFrames(nic());
            }
            case TAP -> {}
        }
    }

    Kind kind() {
        return kind;
    }

    NetNamespace namespace() {
        return namespace;
    }

    String portId() {
        return id;
    }

    /** The value of {@code --port}; a guest may be slow, and loses nothing for that. */
    String port() {
        final String rest = ",offloads=" + (offloads ? "on" : "off");
        return "id=" + id
                + switch (kind) {
                    case VHOST_USER -> ",type=vhost-user,path=" + socket + ",wait=5000" + rest;
                    case TAP -> ",type=tap,ifname=" + nic() + rest;
                    case AF_PACKET -> ",type=af_packet,ifname=" + hubInterface() + rest;
                    case AF_XDP -> ",type=af_xdp,ifname=" + hubInterface();
                };
    }

    private String hubInterface() {
        return "hub-" + id;
    }

    /** The interface in the namespace. */
    String nic() {
        return kind.word + "-" + id;
    }

    /** When the back-end runs: gives the namespace its end and its address. */
    void attach(final String address) throws IOException, InterruptedException {
        if (kind == Kind.VHOST_USER && !hasBridge) {
            guest.awaitBoot().must(BRIDGE_BOTH);
            hasBridge = true;
        }
        if (kind == Kind.TAP) {
            hub.ip("link set " + nic() + " netns " + namespace.name());
        }
        namespace.setUp(nic(), address);
    }

    /** What the next pairing must not find. */
    void detach() {
        if (namespace.hasInterface(nic())) {
            namespace.ip("addr flush dev " + nic());
            namespace.ip("neigh flush dev " + nic());
        }
    }

    String log() throws IOException {
        return guest == null ? "" : guest.qemuLog();
    }

    @Override
    public void close() throws IOException {
        if (guest != null) {
            guest.close();
        }
        if (kind == Kind.AF_PACKET || kind == Kind.AF_XDP) {
            // Else it goes with the namespace, a while later.
            hub.ip("link del " + hubInterface());
        }
        namespace.close();
    }
}
