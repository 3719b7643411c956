package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * A back-end with a wire from port a to port b. On b is a guest that stays the same, the peer; on a is the guest under
 * test, the subject, booted anew when a cell wants another {@link Rig}.
 */
final class QemuLab implements AutoCloseable {
    static final String SUBJECT = "10.9.0.1";
    static final String PEER = "10.9.0.2";

    /** QEMU's virtio-mmio offers this size whatever rx_queue_size says. */
    static final int PEER_RING = 1024;

    private static final String SINK = "traffic tcp-sink 7000 > /dev/null 2>&1 & ";

    private final Path folder;
    private Rig rig;
    private BackendProcess backend;
    private Guest peer;
    private Guest subject;
    private int boots;

    QemuLab(final Path folder) {
        this.folder = folder;
    }

    BackendProcess backend() {
        return backend;
    }

    Guest peer() {
        return peer;
    }

    Guest subject() {
        return subject;
    }

    int subjectRing() {
        return rig.machine().equals("pci") ? 256 : PEER_RING;
    }

    Path socket(final String port) {
        return folder.resolve(port);
    }

    /** Boots what is not there yet; both guests can reach each other when it returns. */
    void prepare(final Rig wanted) throws IOException, InterruptedException {
        if (!wanted.equals(rig)) {
            closeSubject();
            if (backend == null || !wanted.port().equals(rig == null ? null : rig.port())) {
                if (backend != null) {
                    stopBackend();
                }
                rig = wanted;
                startBackend();
                backend.awaitControl();
            }
            rig = wanted;
            // Both boot at the same time.
            final boolean alone = peer == null;
            if (alone) {
                peer = Guest.start(ownFolder(), "b", socket("b").toString());
            }
            startSubject();
            if (alone) {
                peer.awaitBoot().must(address("nic0", PEER) + "; " + SINK);
            }
        }
        if (rig.plugged()) {
            backend.awaitUp("a", "b");
            reach();
        }
    }

    void startBackend() throws IOException {
        backend = BackendProcess.start(
                folder,
                "--port",
                "id=a,type=vhost-user,path=" + socket("a") + rig.port(),
                "--port",
                "id=b,type=vhost-user,path=" + socket("b"),
                "--path",
                "a <-> b");
    }

    /** SIGTERM, after a last look at the faults of the process: the next one begins to count anew. */
    void stopBackend() throws IOException, InterruptedException {
        backend.checkNoFaults();
        backend.stop();
    }

    void startSubject() throws IOException, InterruptedException {
        final List<String> nics = rig.plugged() ? List.of(socket("a") + rig.nic()) : List.of();
        subject = Guest.start(ownFolder(), "a", rig.machine(), nics, rig.qemu());
        subject.awaitBoot();
        configure();
    }

    /** Gives the subject its address, whatever name the kernel has found for the NIC. */
    void configure() throws IOException {
        if (rig.plugged()) {
            subject.must("for d in /sys/class/net/eth*; do [ ! -e $d ] || ip link set ${d##*/} name nic0; done; "
                    + address("nic0", SUBJECT) + "; " + SINK);
        }
    }

    static String address(final String nic, final String address) {
        return "ip addr add %s/24 dev %s && ip link set %s up".formatted(address, nic, nic);
    }

    /** Waits for the first answer, as a carrier takes up to a second. */
    void reach() throws IOException {
        subject.must("for i in $(seq 20); do ping -q -c 1 -W 1 " + PEER + " > /dev/null && exit 0; done; exit 1");
    }

    /** Pings that must all be answered. */
    void ping(final int count, final int size) throws IOException {
        subject.ping(PEER, count, size);
    }

    /** Sends over TCP, both ways one after the other; returns the slower rate in Mbit/s. */
    double transfer(final int megabytes) throws IOException {
        return Math.min(transfer(subject, PEER, megabytes), transfer(peer, SUBJECT, megabytes));
    }

    private static double transfer(final Guest from, final String to, final int megabytes) throws IOException {
        final String[] result = from.must("traffic tcp-send %s 7000 %d".formatted(to, megabytes))
                .trim()
                .split(" ");
        assertEquals(megabytes * 1_000_000L, Long.parseLong(result[1]), 100_000.0 * megabytes, "bytes");
        return Double.parseDouble(result[0]);
    }

    /** Negotiated features of the subject's port. */
    boolean has(final int feature) throws IOException {
        return (Long.decode(backend.port("a").get("features").asText()) >>> feature & 1) == 1;
    }

    void awaitState(final String state) throws InterruptedException {
        Waiting.until(
                "port a is " + state,
                Duration.ofSeconds(30),
                () -> backend.port("a").get("state").asText().equals(state));
    }

    void closeSubject() throws IOException {
        if (subject != null) {
            subject.close();
            subject = null;
        }
    }

    private Path ownFolder() throws IOException {
        boots++;
        return Files.createDirectories(folder.resolve("boot" + boots));
    }

    /** What may explain a failure goes to standard output; the next cell boots everything anew. */
    void discard() {
        try (this) {
            for (final Guest guest : new Guest[] {subject, peer}) {
                if (guest != null) {
                    System.out.println(guest.qemuLog());
                }
            }
            if (backend != null) {
                System.out.println(backend.log());
                System.out.println(backend.alive() ? backend.stats() : "the back-end has ended");
            }
        } catch (final IOException e) {
            System.out.println(e);
        }
    }

    @Override
    public void close() throws IOException {
        closeSubject();
        if (peer != null) {
            peer.close();
            peer = null;
        }
        if (backend != null) {
            backend.close();
            backend = null;
        }
        rig = null;
    }
}
