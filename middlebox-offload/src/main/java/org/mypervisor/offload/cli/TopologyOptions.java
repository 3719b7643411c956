package org.mypervisor.offload.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.mypervisor.offload.config.Config;
import org.mypervisor.offload.config.ConfigException;
import org.mypervisor.offload.config.Topology;
import picocli.CommandLine.Option;

/** The options that say which ports there are and what goes where; the same for {@code run} and {@code check}. */
final class TopologyOptions {
    @Option(
            names = {"-c", "--config"},
            paramLabel = "FILE",
            description = "YAML file with the lists ports, paths and middleboxes; options add to it.")
    private Path file;

    @Option(
            names = "--port",
            paramLabel = "SPEC",
            description = {
                "id=NAME,type=vhost-user,path=SOCKET: a NIC of a guest. We listen and QEMU connects"
                        + " (-chardev socket,path=SOCKET,reconnect=1); with server=off QEMU listens (server=on there)"
                        + " and we connect, again every second.",
                "A path /dev/fd/N is a socket left open by whoever starts us. Optional: queues=N, mrg_rxbuf=off, event_idx=off, indirect=off, in_order=off, packed=off, offloads=off,"
                        + " wait=MS (how long a frame may wait for a receive buffer, default 1), mode=0660, owner=USER,"
                        + " group=GROUP (of the socket).",
                "id=NAME,type=tap,ifname=NAME: a tap of the host, made if it is not there. Optional: mtu=N, queues=N, offloads=off,"
                        + " wait=MS.",
                "id=NAME,type=af_packet,ifname=NAME: an interface of the host, by packet sockets. Optional: queues=N,"
                        + " offloads=off, wait=MS.",
                "id=NAME,type=af_xdp,ifname=NAME: an interface of the host, by XDP sockets, before the host sees its frames."
                        + " Optional: queues=N, queue=N (the first of them), mode=auto|copy|zero-copy (auto copies only where"
                        + " the driver cannot do without), wait=MS.",
                "id=NAME,type=pcap,read=FILE,write=FILE: replays a capture (pcap or pcapng) once the path's"
                        + " destination is up, writes one (pcapng if the name ends so, else pcap in nanoseconds), or"
                        + " both. Optional: speed=recorded (default), Nx such as 2x or 0.5x, or max: as fast as the"
                        + " receiver takes it; rate=N frames a second instead; loop=N or forever; size=BYTES (or 500K,"
                        + " 100M, 2G) and seconds=N end the file. Frames of a capture keep their times and lengths in"
                        + " another. See --exit-when-done.",
                "id=NAME,type=null: takes every frame and has none."
            })
    private List<String> ports = new ArrayList<>();

    @Option(
            names = "--socket-path",
            paramLabel = "SOCKET",
            description = "The same as --port id=net,path=SOCKET, as management software starts back-ends.")
    private String socketPath;

    @Option(
            names = "--fd",
            paramLabel = "N",
            description = "The same as --port id=net,path=/dev/fd/N: the socket is the open descriptor N, connected or"
                    + " listening.")
    private Integer fd;

    @Option(
            names = "--path",
            paramLabel = "PATH",
            description =
                    "'A -> ELEMENT(ARGS) -> B' for one direction, 'A <-> B' for both. Elements: filter(rules=FILE),"
                            + " count. filter(rules=FILE,format=classbench) reads a ClassBench filter set:"
                            + " action=deny (what matches is denied, the rest allowed; the default), allow (what"
                            + " matches is allowed, the rest denied) or alternate (line by line, deny first).")
    private List<String> paths = new ArrayList<>();

    @Option(
            names = "--middlebox",
            paramLabel = "SPEC",
            description = {
                "id=NAME,inside=NET:GUEST,outside=NET:GUEST,offload=POLICY: NET is the port towards the network, GUEST"
                        + " the VM's NIC on that side.",
                "POLICY: none (the VM does all), filter(rules=FILE) (judged here, the rest goes to the VM),"
                        + " filter(rules=FILE)+wire (the VM sees nothing). vm-down=drop stops the wire while the VM is"
                        + " down."
            })
    private List<String> middleboxes = new ArrayList<>();

    /** The checked configuration; a mistake is the user's to mend. */
    Topology load() {
        if (socketPath != null && fd != null) {
            throw new WrongConfigurationException("--socket-path and --fd exclude each other");
        }
        if (socketPath != null) {
            ports.add("id=net,path=" + socketPath);
        } else if (fd != null) {
            ports.add("id=net,path=/dev/fd/" + fd);
        }
        try {
            return Config.load(Optional.ofNullable(file), ports, paths, middleboxes);
        } catch (final ConfigException e) {
            throw WrongConfigurationException.atPlaces(e.getMessage());
        }
    }
}
