package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;

/** More than one back-end, and more than two guests. */
final class QemuTopologies {
    private static final String FIRST = "10.9.1.";
    private static final String SECOND = "10.9.2.";

    private final Path folder;
    private int cells;

    QemuTopologies(final Path folder) {
        this.folder = folder;
    }

    List<Cell> cells() {
        return List.of(
                Cell.of("qemu/two-back-ends", this::twoBackends).inShortForm(),
                Cell.of("qemu/four-guests", this::four));
    }

    /** Each guest has a NIC on each back-end; one of these dies and comes back, the other one loses nothing. */
    private void twoBackends() throws IOException, InterruptedException {
        try (Things things = new Things()) {
            final BackendProcess stays = things.backend("stays", "a", "b");
            final BackendProcess dies = things.backend("dies", "c", "d");
            final Guest left = things.guest("left", "a", "c");
            final Guest right = things.guest("right", "b", "d");
            for (final Guest guest : List.of(left, right)) {
                guest.awaitBoot();
                final String host = guest == left ? "1" : "2";
                guest.must(QemuLab.address("nic0", FIRST + host) + " && " + QemuLab.address("nic1", SECOND + host));
            }
            stays.awaitUp("a", "b");
            dies.awaitUp("c", "d");
            reach(left, FIRST + 2);
            reach(left, SECOND + 2);
            left.must("ping -i 0.05 " + FIRST + "2 > /tmp/pings 2>&1 & echo $! > /tmp/pid");
            dies.checkNoFaults();
            dies.killHard();
            final BackendProcess back = things.backend("dies", "c", "d");
            back.awaitUp("c", "d");
            reach(left, SECOND + 2);
            checkNoLoss(left);
            left.ping(SECOND + 2, 100, 56);
            stays.checkNoFaults();
            back.checkNoFaults();
        }
    }

    /** Two pairs of guests on one back-end; the death of one guest costs the other pair nothing. */
    private void four() throws IOException, InterruptedException {
        try (Things things = new Things()) {
            final BackendProcess backend = things.backend("both", "a", "b", "c", "d");
            final Guest a = things.guest("a", "a");
            final Guest b = things.guest("b", "b");
            final Guest c = things.guest("c", "c");
            final Guest d = things.guest("d", "d");
            a.awaitBoot().must(QemuLab.address("nic0", FIRST + 1));
            b.awaitBoot().must(QemuLab.address("nic0", FIRST + 2));
            c.awaitBoot().must(QemuLab.address("nic0", SECOND + 1));
            d.awaitBoot().must(QemuLab.address("nic0", SECOND + 2));
            backend.awaitUp("a", "b", "c", "d");
            reach(a, FIRST + 2);
            reach(c, SECOND + 2);
            c.must("ping -i 0.01 " + SECOND + "2 > /dev/null 2>&1 &");
            a.must("ping -i 0.05 " + FIRST + "2 > /tmp/pings 2>&1 & echo $! > /tmp/pid");
            d.close();
            final Guest again = things.guest("d2", "d");
            again.awaitBoot().must(QemuLab.address("nic0", SECOND + 2));
            backend.awaitUp("d");
            reach(again, SECOND + 1);
            again.ping(SECOND + 1, 100, 56);
            checkNoLoss(a);
            backend.checkNoFaults();
        }
    }

    private static void reach(final Guest guest, final String address) throws IOException {
        guest.must("for i in $(seq 20); do ping -q -c 1 -W 1 " + address + " > /dev/null && exit 0; done; exit 1");
    }

    /** Ends the ping that has been running; the answer to its last request may be under way. */
    private static void checkNoLoss(final Guest guest) throws IOException {
        final String output = guest.must("kill -INT $(cat /tmp/pid); sleep 0.2; tail -n 2 /tmp/pings");
        assertTrue(output.contains(" 0% packet loss"), output);
    }

    /** Processes that end together, the last started first. */
    private final class Things implements Closeable {
        private final Deque<Closeable> started = new ArrayDeque<>();
        private final Path own;

        Things() throws IOException {
            own = Files.createDirectory(folder.resolve("topology" + cells++));
        }

        BackendProcess backend(final String name, final String... ports) throws IOException, InterruptedException {
            final String[] paths = ports.length == 2
                    ? new String[] {"--path", ports[0] + " <-> " + ports[1]}
                    : new String[] {"--path", ports[0] + " <-> " + ports[1], "--path", ports[2] + " <-> " + ports[3]};
            // The sockets of all back-ends are in one folder, controls and logs in one each.
            final BackendProcess backend = BackendProcess.start(
                    Files.createDirectories(own.resolve(name)), BackendProcess.options(own, List.of(ports), paths));
            started.push(backend::close);
            backend.awaitControl();
            return backend;
        }

        Guest guest(final String name, final String... ports) throws IOException {
            final List<String> nics = Arrays.stream(ports)
                    .map(port -> own.resolve(port).toString())
                    .toList();
            final Guest guest = Guest.start(own, name, "microvm", nics, List.of());
            started.push(guest::close);
            return guest;
        }

        @Override
        public void close() throws IOException {
            for (final Closeable thing : started) {
                thing.close();
            }
        }
    }
}
