package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What cannot be a port ends the start with one line that says why, and leaves nothing behind. */
@Timeout(60)
final class InterfaceErrorsIT {
    private static final String AF_PACKET = "id=p,type=af_packet,ifname=eth0";
    private static final String AF_XDP = "id=p,type=af_xdp,ifname=eth0";
    private static final String NEW_TAP = "id=t,type=tap,ifname=tee";

    @TempDir
    private Path folder;

    private NetNamespace hub;
    private NetNamespace other;

    @BeforeEach
    void makeNamespaces() {
        final String missing = NetNamespace.missing();
        assumeTrue(missing == null, missing);
        hub = new NetNamespace();
        other = new NetNamespace();
        other.addVeth("far", "eth0", hub);
        hub.ip("link set eth0 up");
    }

    @AfterEach
    void end() {
        if (hub != null) {
            hub.close();
            other.close();
        }
    }

    private String interfaces() {
        return hub.must("sh", "-c", "ls /sys/class/net /proc/sys/net/ipv4/conf; cat /proc/net/dev | cut -d : -f 1")
                + hub.ip("-d link show dev eth0");
    }

    /** Starts a back-end with the port, behind one that makes a socket; returns what it said. */
    private String refused(final List<String> prefix, final String port, final String... more)
            throws IOException, InterruptedException {
        final Path socket = folder.resolve("v.sock");
        final Path control = folder.resolve("control");
        final String before = interfaces();
        final List<String> command = hub.command(prefix.toArray(String[]::new));
        command.addAll(List.of(BackendProcess.launcher().toString(), "run", "--duration", "10"));
        command.addAll(List.of("--control", control.toString(), "--port", "id=v,type=vhost-user,path=" + socket));
        command.addAll(List.of("--port", port));
        command.addAll(List.of(more));
        final Path err = folder.resolve("err");
        final Process process = new ProcessBuilder(command)
                .redirectOutput(folder.resolve("out").toFile())
                .redirectError(err.toFile())
                .start();
        assertTrue(process.waitFor(20, TimeUnit.SECONDS), "it runs");
        final String said = Files.readString(err);
        assertEquals(2, process.exitValue(), said);
        assertEquals(1, said.lines().count(), said);
        assertTrue(Files.notExists(socket) && Files.notExists(control), "a socket is left");
        assertEquals(before, interfaces());
        final long left = ProcessHandle.allProcesses()
                .filter(other -> other.info().commandLine().orElse("").contains(control.toString()))
                .count();
        assertEquals(0, left, "processes left");
        return said;
    }

    private static void expect(final String said, final String... words) {
        for (final String word : words) {
            assertTrue(said.contains(word), said);
        }
    }

    /** @param capability as setpriv calls it; several with {@code ,-} between them */
    private static List<String> without(final String capability) {
        final List<String> setpriv = new ArrayList<>(List.of("setpriv"));
        setpriv.addAll(List.of("--bounding-set", "-" + capability, "--inh-caps", "-" + capability));
        return setpriv;
    }

    @Test
    void shouldRefuseAPacketSocketOnNothing() throws IOException, InterruptedException {
        expect(refused(List.of(), "id=p,type=af_packet,ifname=nowhere"), "interface nowhere: is not there");
    }

    @Test
    void shouldRefuseAnInterfaceWithoutEthernetHeaders() throws IOException, InterruptedException {
        hub.ip("tuntap add dev tun0 mode tun");
        expect(refused(List.of(), "id=p,type=af_packet,ifname=tun0"), "interface tun0:", "Ethernet");
    }

    @Test
    void shouldRefuseATapThatIsNone() throws IOException, InterruptedException {
        expect(refused(List.of(), "id=t,type=tap,ifname=eth0"), "interface eth0:", "is no tap");
        expect(refused(List.of(), "id=t,type=tap,ifname=eth0,queues=2"), "interface eth0:", "is no tap", "multi_queue");
        hub.ip("tuntap add dev tun0 mode tun");
        expect(refused(List.of(), "id=t,type=tap,ifname=tun0"), "interface tun0:", "is no tap");
    }

    @Test
    void shouldRefuseTwoQueuesOnATapOfOne() throws IOException, InterruptedException {
        hub.ip("tuntap add tee mode tap");
        expect(refused(List.of(), NEW_TAP + ",queues=2"), "interface tee:", "multi_queue");
    }

    @Test
    void shouldRefuseATapThatIsTaken() throws IOException, InterruptedException {
        hub.ip("tuntap add tee mode tap");
        final Path own = Files.createDirectory(folder.resolve("own"));
        try (BackendProcess owner = BackendProcess.start(hub, own, "--port", NEW_TAP)) {
            owner.awaitControl();
            expect(refused(List.of(), NEW_TAP), "interface tee:", "another process is attached");
            owner.stop();
        }
    }

    @Test
    void shouldNameTheCapabilityForPacketSockets() throws IOException, InterruptedException {
        expect(refused(without("net_raw"), AF_PACKET), "interface eth0:", "CAP_NET_RAW");
    }

    @Test
    void shouldNameTheCapabilityForTaps() throws IOException, InterruptedException {
        expect(refused(without("net_admin"), NEW_TAP), "interface tee:", "CAP_NET_ADMIN");
        hub.ip("tuntap add tee mode tap user 12345");
        expect(refused(without("net_admin"), NEW_TAP), "interface tee:", "CAP_NET_ADMIN");
    }

    /** The way that the message advises. */
    @Test
    void shouldNeedNoCapabilityForATapOfItsUser() throws IOException, InterruptedException {
        hub.ip("tuntap add tee mode tap user 0");
        hub.ip("link set tee mtu 1400");
        for (final String port : List.of(NEW_TAP, NEW_TAP + ",mtu=1400")) {
            final List<String> command = hub.command(without("net_admin").toArray(String[]::new));
            command.addAll(List.of(BackendProcess.launcher().toString(), "run", "--duration", "0.5", "--port", port));
            final Shell.Result result = Shell.run(command);
            assertEquals(0, result.status(), result.output());
            assertTrue(hub.hasInterface("tee"));
        }
        expect(refused(without("net_admin"), NEW_TAP + ",mtu=1300"), "interface tee:", "MTU 1300", "CAP_NET_ADMIN");
    }

    @Test
    void shouldRefuseAPathBetweenDifferentMtus() throws IOException, InterruptedException {
        hub.ip("link set eth0 mtu 1400");
        expect(
                refused(List.of(), AF_PACKET, "--port", NEW_TAP, "--path", "p <-> t"),
                "path 'p",
                "MTU 1400",
                "1500",
                "ip link set tee mtu 1400");
        final String said = refused(List.of(), AF_PACKET, "--port", NEW_TAP + ",mtu=9000", "--path", "p <-> t");
        expect(said, "9000");
    }

    @Test
    void shouldSetTheMtuOfATap() throws IOException, InterruptedException {
        hub.ip("link set eth0 mtu 1400");
        final Path own = Files.createDirectory(folder.resolve("own"));
        try (BackendProcess backend = BackendProcess.start(
                hub, own, "--port", AF_PACKET, "--port", NEW_TAP + ",mtu=1400", "--path", "p <-> t")) {
            backend.awaitControl();
            backend.awaitUp("t");
            assertTrue(hub.ip("link show dev tee").contains("mtu 1400"));
            backend.stop();
        }
    }

    @Test
    void shouldRefuseNamesThatNoInterfaceHas() throws IOException, InterruptedException {
        for (final String name : List.of("sixteen-letters-", "a/b", "a:b", "..", "tap%d")) {
            for (final String type : List.of("tap", "af_packet", "af_xdp")) {
                expect(
                        refused(List.of(), "id=t,type=" + type + ",ifname=" + name),
                        "--port:2:",
                        "no name of an interface");
            }
        }
    }

    @Test
    void shouldRefuseTwoPortsOnOneInterface() throws IOException, InterruptedException {
        expect(
                refused(List.of(), AF_PACKET, "--port", "id=q,type=af_packet,ifname=eth0"),
                "already belongs to port 'p'");
    }

    @Test
    void shouldRefuseXdpOnNothingAndWithoutEthernetHeaders() throws IOException, InterruptedException {
        expect(refused(List.of(), "id=p,type=af_xdp,ifname=nowhere"), "interface nowhere: is not there");
        hub.ip("tuntap add dev tun0 mode tun");
        expect(refused(List.of(), "id=p,type=af_xdp,ifname=tun0"), "interface tun0:", "Ethernet");
    }

    @Test
    void shouldNameTheCapabilitiesForXdp() throws IOException, InterruptedException {
        expect(refused(without("net_raw"), AF_XDP), "interface eth0:", "missing here: CAP_NET_RAW (");
        expect(refused(without("net_admin,-sys_admin"), AF_XDP), "interface eth0:", "missing here: CAP_NET_ADMIN (");
        expect(refused(without("bpf,-sys_admin"), AF_XDP), "interface eth0:", "missing here: CAP_BPF (");
    }

    @Test
    void shouldRefuseAnMtuThatNoFrameOfXdpHolds() throws IOException, InterruptedException {
        hub.ip("link set eth0 mtu 9000");
        expect(refused(List.of(), AF_XDP), "interface eth0:", "MTU 9000 is too big", "ip link set eth0 mtu 3818");
    }

    @Test
    void shouldRefuseAnInterfaceWithAnotherXdpProgram() throws IOException, InterruptedException {
        final Path own = Files.createDirectory(folder.resolve("own"));
        try (BackendProcess owner = BackendProcess.start(hub, own, "--port", AF_XDP)) {
            owner.awaitControl();
            expect(
                    refused(List.of(), AF_XDP),
                    "interface eth0:",
                    "another XDP program",
                    "ip link set dev eth0 xdp off");
            owner.stop();
        }
    }

    @Test
    void shouldRefuseAQueueThatIsNotThere() throws IOException, InterruptedException {
        expect(
                refused(List.of(), AF_XDP + ",queue=1"),
                "interface eth0:",
                "no queue 1",
                "it has 1 to receive and to send");
        expect(refused(List.of(), AF_XDP + ",queues=3"), "interface eth0:", "no queue 2");
        hub.ip("link add link eth0 name bare type macvlan mode passthru");
        hub.ip("link set bare up");
        expect(refused(List.of(), "id=p,type=af_xdp,ifname=bare,queue=9"), "interface bare:", "no queue 9");
    }

    @Test
    void shouldRefuseZeroCopyWhereTheDriverHasNone() throws IOException, InterruptedException {
        expect(
                refused(List.of(), AF_XDP + ",mode=zero-copy"),
                "interface eth0:",
                "its driver veth has no zero-copy",
                "mode=copy");
        hub.ip("link add link eth0 name bare type macvlan mode passthru");
        hub.ip("link set bare up");
        expect(
                refused(List.of(), "id=p,type=af_xdp,ifname=bare,mode=zero-copy"),
                "interface bare:",
                "without native XDP there is no zero-copy");
    }

    @Test
    void shouldSayHowMuchMemoryMustBeLocked() throws IOException, InterruptedException {
        final List<String> limited = new ArrayList<>(without("ipc_lock"));
        limited.addAll(List.of("prlimit", "--memlock=65536"));
        expect(refused(limited, AF_XDP), "interface eth0:", "KiB of locked memory", "ulimit -l", "CAP_IPC_LOCK");
    }
}
