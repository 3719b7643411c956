package org.mypervisor.offload.config;

import java.util.List;
import java.util.Optional;
import org.mypervisor.offload.capture.Limits;
import org.mypervisor.offload.capture.Pace;
import org.mypervisor.offload.host.XdpInterface;
import org.mypervisor.offload.rules.Place;

/**
 * A port as written, checked and with its defaults filled in.
 *
 * @param id the name by which paths know it
 * @param queues number of queue pairs, 1..{@link #MAX_QUEUES}
 * @param offloads whether frames may pass whose checksum or segmentation is left to the receiver
 * @param waitMillis how long a frame waits for a buffer of this port; 0 drops at once
 * @param kind what it is attached to
 * @param place where it is written
 */
public record PortSpec(String id, int queues, boolean offloads, int waitMillis, Kind kind, Place place) {
    public static final int MAX_QUEUES = 128;
    public static final int MAX_WAIT_MILLIS = 60_000;

    /** The type of a port, and the options that only this type has. */
    public sealed interface Kind permits VhostUser, Tap, AfPacket, AfXdp, Pcap, Null {
        /** As in {@code type=}. */
        String type();

        /** The options in the words of {@code --port}, each with a comma in front. */
        String text();
    }

    /**
     * The socket of a front-end.
     *
     * @param path the UNIX socket, as given
     * @param server whether we listen and the front-end connects; else we connect to it
     * @param offered ring and net features that may be offered
     * @param access who may connect; used only when we make the socket, that is with {@code server=on}
     */
    public record VhostUser(String path, boolean server, Offered offered, Access access) implements Kind {
        public static final String TYPE = "vhost-user";

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public String text() {
            final StringBuilder text = new StringBuilder();
            text.append(",path=").append(path);
            text.append(",server=").append(onOff(server));
            text.append(",packed=").append(onOff(offered.packed));
            text.append(",mrg_rxbuf=").append(onOff(offered.mergeableBuffers));
            text.append(",event_idx=").append(onOff(offered.eventIdx));
            text.append(",indirect=").append(onOff(offered.indirect));
            text.append(",in_order=").append(onOff(offered.inOrder));
            if (server) {
                text.append(String.format(",mode=0%03o", access.mode));
                access.owner.ifPresent(owner -> text.append(",owner=").append(owner));
                access.group.ifPresent(group -> text.append(",group=").append(group));
            }
            return text.toString();
        }
    }

    /**
     * A tap interface of the host: attached to if it is there, else made for as long as the port lives.
     *
     * @param ifname name of the interface
     * @param mtu to be set, or 0 to leave it as it is
     */
    public record Tap(String ifname, int mtu) implements Kind {
        public static final String TYPE = "tap";

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public String text() {
            return ",ifname=" + ifname + (mtu == 0 ? "" : ",mtu=" + mtu);
        }
    }

    /**
     * Any Ethernet interface of the host, by a packet socket with a mapped ring.
     *
     * @param ifname name of the interface
     */
    public record AfPacket(String ifname) implements Kind {
        public static final String TYPE = "af_packet";

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public String text() {
            return ",ifname=" + ifname;
        }
    }

    /**
     * Any Ethernet interface of the host, by XDP sockets.
     *
     * @param ifname name of the interface
     * @param queue the first of its queues that are the port's, 0..{@link #MAX_QUEUE}
     * @param copying whether frames are copied on their way
     */
    public record AfXdp(String ifname, int queue, XdpInterface.Copying copying) implements Kind {
        public static final String TYPE = "af_xdp";
        public static final int MAX_QUEUE = 4095;

        /** As in {@code mode=}, in the order of {@link XdpInterface.Copying}. */
        static final List<String> MODES = List.of("auto", "copy", "zero-copy");

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public String text() {
            return ",ifname=" + ifname + ",queue=" + queue + ",mode=" + MODES.get(copying.ordinal());
        }
    }

    /**
     * Capture files: one that is replayed, one that is written, or both.
     *
     * @param read the file to replay
     * @param pace how fast
     * @param loops how often, from 1 on; {@link Long#MAX_VALUE} is for ever
     * @param write the file to write
     * @param limits when that has enough
     */
    public record Pcap(Optional<String> read, Pace pace, long loops, Optional<String> write, Limits limits)
            implements Kind {
        public static final String TYPE = "pcap";

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public String text() {
            final StringBuilder text = new StringBuilder();
            read.ifPresent(
                    file -> text.append(",read=").append(file).append(',').append(pace.text()));
            read.ifPresent(file -> text.append(",loop=").append(loops == Long.MAX_VALUE ? "forever" : loops));
            write.ifPresent(file -> text.append(",write=").append(file));
            text.append(limits.bytes() == 0 ? "" : ",size=" + limits.bytes());
            text.append(limits.seconds() == 0 ? "" : ",seconds=" + limits.seconds());
            return text.toString();
        }
    }

    /** Nothing: takes every frame, and never has one. */
    public record Null() implements Kind {
        public static final String TYPE = "null";

        @Override
        public String type() {
            return TYPE;
        }

        @Override
        public String text() {
            return "";
        }
    }

    /** Features that the port's options allow; {@code off} takes one out of the offer. */
    public record Offered(
            boolean packed, boolean mergeableBuffers, boolean eventIdx, boolean indirect, boolean inOrder) {}

    /**
     * Mode and ownership of the socket file.
     *
     * @param mode permission bits, 0..0777
     * @param owner user name or number; empty leaves our own
     * @param group group name or number; empty leaves our own
     */
    public record Access(int mode, Optional<String> owner, Optional<String> group) {}

    /** What kind of port, as in {@code type=}. */
    public String type() {
        return kind.type();
    }

    /** The port in the words of {@code --port}, everything spelled out. */
    public String text() {
        return "id=" + id + ",type=" + type() + kind.text() + ",queues=" + queues + ",offloads=" + onOff(offloads)
                + ",wait=" + waitMillis;
    }

    private static String onOff(final boolean value) {
        return value ? "on" : "off";
    }
}
