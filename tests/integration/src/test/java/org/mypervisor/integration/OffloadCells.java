package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/** TCP between two guests whose NICs have different offloads, in both ring formats. */
final class OffloadCells {
    private static final String LEFT = "10.9.3.1";
    private static final String RIGHT = "10.9.3.2";
    private static final String SINK = "traffic tcp-sink 7000 > /dev/null 2>&1 & ";

    private static final int CSUM = 0;
    private static final int GUEST_TSO4 = 7;
    private static final int HOST_TSO4 = 11;
    private static final int RING_PACKED = 34;

    /**
     * What offloads are for: with them a connection has to be this much faster than without. Between emulated guests on two CPUs
     * it was 2.1 to 4.1 times, by what else the machine did.
     */
    private static final double GAIN = 2;

    /** Pairs of rates at most: the machine may have become a slower one between the two of a pair. */
    private static final int LOOKS = 3;

    /** Four guests boot for each look. */
    private static final Duration GAIN_LIMIT = Duration.ofMinutes(10);

    private static final int MEGABYTES = 20;

    /** Where rates are compared: an emulated guest translates its code in the first ones. */
    private static final int WARM_UPS = 5;

    private static final int TRANSFERS = 7;
    private static final int COMPARED_MEGABYTES = 200;

    private static final String NO_TSO = ",host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off"
            + ",guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off";

    /** One end's offloads, as properties of QEMU's NIC. */
    private enum Offloads {
        ALL(""),
        CHECKSUMS(NO_TSO),
        NONE(NO_TSO + ",csum=off,guest_csum=off,gso=off");

        private final String properties;

        Offloads(final String properties) {
            this.properties = properties;
        }
    }

    private final Path folder;
    private final Map<Offloads, Double> rates = new EnumMap<>(Offloads.class);
    private int runs;

    OffloadCells(final Path folder) {
        this.folder = folder;
    }

    List<Cell> cells() {
        final List<Cell> cells = new ArrayList<>();
        for (final boolean packed : new boolean[] {false, true}) {
            final String name = "qemu/offloads/" + (packed ? "packed" : "split") + "/";
            for (final Offloads left : Offloads.values()) {
                for (final Offloads right : Offloads.values()) {
                    final Cell cell = Cell.of(
                            name + (left + "-to-" + right).toLowerCase(java.util.Locale.ROOT),
                            () -> transfer(left, right, packed));
                    final boolean brief = !packed && left != Offloads.CHECKSUMS && right != Offloads.CHECKSUMS;
                    cells.add(
                            brief || packed && left != right && left != Offloads.CHECKSUMS ? cell.inShortForm() : cell);
                }
            }
        }
        cells.add(
                Cell.of("qemu/offloads/gain", this::compare).within(GAIN_LIMIT).inShortForm());
        return cells;
    }

    private void transfer(final Offloads left, final Offloads right, final boolean packed)
            throws IOException, InterruptedException {
        final Path own = Files.createDirectory(folder.resolve("offloads" + runs++));
        final String format = packed ? ",packed=on" : "";
        try (BackendProcess backend =
                        BackendProcess.start(own, BackendProcess.options(own, List.of("l", "r"), "--path", "l <-> r"));
                Guest a = guest(own, "l", left.properties + format);
                Guest b = guest(own, "r", right.properties + format)) {
            a.awaitBoot().must(QemuLab.address("nic0", LEFT) + "; " + SINK);
            b.awaitBoot().must(QemuLab.address("nic0", RIGHT) + "; " + SINK);
            backend.awaitUp("l", "r");
            check(backend, "l", left, packed);
            check(backend, "r", right, packed);
            a.must("for i in $(seq 20); do ping -q -c 1 -W 1 " + RIGHT + " > /dev/null && exit 0; done; exit 1");
            transfer(a, RIGHT, MEGABYTES);
            transfer(b, LEFT, MEGABYTES);
            if (left == right && !packed) {
                rates.put(left, rate(a, RIGHT));
            }
            // A checksum error or a frame that is too long would show in these.
            for (final Guest guest : List.of(a, b)) {
                assertEquals(
                        "0",
                        guest.must("cat /sys/class/net/nic0/statistics/rx_errors")
                                .trim());
                assertEquals("0", errors(guest), "TCP segments with errors");
            }
            backend.checkNoFaults();
        }
    }

    private static Guest guest(final Path own, final String port, final String properties) throws IOException {
        return Guest.start(own, port, "microvm", List.of(own.resolve(port) + properties), List.of());
    }

    private static void check(
            final BackendProcess backend, final String port, final Offloads offloads, final boolean packed)
            throws IOException {
        final long features = Long.decode(backend.port(port).get("features").asText());
        assertEquals(packed, has(features, RING_PACKED), "RING_PACKED of " + port);
        assertEquals(offloads != Offloads.NONE, has(features, CSUM), "CSUM of " + port);
        assertEquals(offloads == Offloads.ALL, has(features, HOST_TSO4), "HOST_TSO4 of " + port);
        assertEquals(offloads == Offloads.ALL, has(features, GUEST_TSO4), "GUEST_TSO4 of " + port);
    }

    private static boolean has(final long features, final int bit) {
        return (features >>> bit & 1) == 1;
    }

    /** InErrs and InCsumErrors of the TCP line in /proc/net/snmp. */
    private static String errors(final Guest guest) throws IOException {
        final String[] lines = guest.must("grep ^Tcp: /proc/net/snmp").trim().split("\n");
        final List<String> names = Arrays.asList(lines[0].trim().split(" "));
        final String[] values = lines[1].trim().split(" ");
        final long errors = Long.parseLong(values[names.indexOf("InErrs")]);
        return Long.toString(errors + Long.parseLong(values[names.indexOf("InCsumErrors")]));
    }

    /** The median of several, in Mbit/s. */
    private static double rate(final Guest from, final String to) throws IOException {
        for (int i = 0; i < WARM_UPS; i++) {
            transfer(from, to, COMPARED_MEGABYTES);
        }
        final double[] rates = new double[TRANSFERS];
        for (int i = 0; i < TRANSFERS; i++) {
            rates[i] = transfer(from, to, COMPARED_MEGABYTES);
        }
        Arrays.sort(rates);
        return rates[TRANSFERS / 2];
    }

    /** In Mbit/s. */
    private static double transfer(final Guest from, final String to, final int megabytes) throws IOException {
        final String[] result = from.must("traffic tcp-send %s 7000 %d".formatted(to, megabytes))
                .trim()
                .split(" ");
        assertEquals(megabytes * 1_000_000L, Long.parseLong(result[1]), "bytes");
        return Double.parseDouble(result[0]);
    }

    private void compare() throws IOException, InterruptedException {
        final StringBuilder figures = new StringBuilder();
        boolean faster = false;
        for (int look = 0; look < LOOKS && !faster; look++) {
            if (look > 0) {
                rates.clear();
            }
            final double all = rateOf(Offloads.ALL);
            final double none = rateOf(Offloads.NONE);
            faster = all >= GAIN * none;
            final String pair =
                    "TCP with offloads %.0f Mbit/s, without %.0f Mbit/s: %.1f x".formatted(all, none, all / none);
            System.out.println(pair);
            figures.append(look == 0 ? "" : "; ").append(pair);
        }
        assertTrue(faster, figures.toString());
    }

    private double rateOf(final Offloads offloads) throws IOException, InterruptedException {
        if (!rates.containsKey(offloads)) {
            transfer(offloads, offloads, false);
        }
        return rates.get(offloads);
    }
}
