package org.mypervisor.offload.config;

import java.util.Optional;
import org.mypervisor.offload.rules.Place;

/**
 * A port as written, checked and with its defaults filled in.
 *
 * @param id the name by which paths know it
 * @param type what kind of port; only {@link #VHOST_USER} so far
 * @param path the UNIX socket, as given
 * @param server whether we listen and the front-end connects; else we connect to it
 * @param queues number of queue pairs offered, 1..{@link #MAX_QUEUES}
 * @param offered ring and net features that may be offered
 * @param access who may connect; used only when we make the socket, that is with {@code server=on}
 * @param waitMillis how long a frame waits for a buffer of this port; 0 drops at once
 * @param place where it is written
 */
public record PortSpec(
        String id,
        String type,
        String path,
        boolean server,
        int queues,
        Offered offered,
        Access access,
        int waitMillis,
        Place place) {
    public static final String VHOST_USER = "vhost-user";
    public static final int MAX_QUEUES = 128;
    public static final int MAX_WAIT_MILLIS = 60_000;

    /** Features that the port's options allow; {@code off} takes one out of the offer. */
    public record Offered(
            boolean packed,
            boolean mergeableBuffers,
            boolean eventIdx,
            boolean indirect,
            boolean inOrder,
            boolean offloads) {}

    /**
     * Mode and ownership of the socket file.
     *
     * @param mode permission bits, 0..0777
     * @param owner user name or number; empty leaves our own
     * @param group group name or number; empty leaves our own
     */
    public record Access(int mode, Optional<String> owner, Optional<String> group) {}

    /** The port in the words of {@code --port}, everything spelled out. */
    public String text() {
        final StringBuilder text = new StringBuilder();
        text.append("id=")
                .append(id)
                .append(",type=")
                .append(type)
                .append(",path=")
                .append(path);
        text.append(",server=").append(onOff(server)).append(",queues=").append(queues);
        text.append(",packed=").append(onOff(offered.packed));
        text.append(",mrg_rxbuf=").append(onOff(offered.mergeableBuffers));
        text.append(",event_idx=").append(onOff(offered.eventIdx));
        text.append(",indirect=").append(onOff(offered.indirect));
        text.append(",in_order=").append(onOff(offered.inOrder));
        text.append(",offloads=").append(onOff(offered.offloads));
        if (server) {
            text.append(String.format(",mode=0%03o", access.mode));
            access.owner.ifPresent(owner -> text.append(",owner=").append(owner));
            access.group.ifPresent(group -> text.append(",group=").append(group));
        }
        return text.append(",wait=").append(waitMillis).toString();
    }

    private static String onOff(final boolean value) {
        return value ? "on" : "off";
    }
}
