package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The matrix of QEMU guests: what is attached how, and what is done to it. */
final class QemuCells {
    private static final int MTU = 3;
    private static final int MRG_RXBUF = 15;
    private static final int MQ = 22;
    private static final int INDIRECT_DESC = 28;
    private static final int EVENT_IDX = 29;
    private static final int VERSION_1 = 32;
    private static final int RING_PACKED = 34;

    /** Options of our ports, and the properties of QEMU's NICs that say the same. */
    private static final Map<String, String> PROPERTIES =
            Map.of("mrg_rxbuf", "mrg_rxbuf", "event_idx", "event_idx", "indirect", "indirect_desc");

    private static final Map<String, Integer> BITS =
            Map.of("mrg_rxbuf", MRG_RXBUF, "event_idx", EVENT_IDX, "indirect", INDIRECT_DESC);

    private static final List<String> FEATURES = List.of("mrg_rxbuf", "event_idx", "indirect");

    /** Of the attachment that most users have, and of each other one. */
    private static final int KILLS = Matrix.full() ? 50 : 5;

    private static final int KILLS_OF_OTHERS = 10;

    private final QemuLab lab;
    private final QemuEvents events;
    private final List<Cell> cells = new ArrayList<>();

    private QemuCells(final QemuLab lab) {
        this.lab = lab;
        this.events = new QemuEvents(lab);
    }

    /** Cells of one rig stand together, so that it is booted once. */
    static List<Cell> on(final QemuLab lab) {
        final QemuCells matrix = new QemuCells(lab);
        for (final String machine : List.of("microvm", "pci")) {
            matrix.life(machine + "/client", Rig.client(machine), machine.equals("microvm"));
            matrix.life(machine + "/server", Rig.server(machine), false);
            matrix.features(machine, Rig.client(machine));
            final Rig packed = Rig.client(machine).nic("packed=on");
            matrix.life(machine + "/packed/client", packed, machine.equals("microvm"));
            matrix.features(machine + "/packed", packed);
        }
        matrix.life("microvm/packed/server", Rig.server("microvm").nic("packed=on"), false);
        matrix.rest();
        return matrix.cells;
    }

    /** What happens to a guest in its life. */
    private void life(final String name, final Rig rig, final boolean brief) {
        final boolean pci = rig.machine().equals("pci");
        addIf(true, name + "/ping-and-data", rig, () -> {
            for (final int size : new int[] {1, 56, 1000, 1472}) {
                lab.ping(100, size);
            }
            for (final String feature : FEATURES) {
                assertTrue(lab.has(BITS.get(feature)), feature + " is on by default");
            }
            assertTrue(lab.has(VERSION_1), "VERSION_1");
            assertEquals(name.contains("/packed"), lab.has(RING_PACKED), "RING_PACKED");
            lab.transfer(20);
        });
        addIf(brief, name + "/stop-and-cont", rig, events::stopAndContinue);
        addIf(brief, name + "/link-down-and-up", rig, events::linkDownAndUp);
        addIf(brief, name + "/driver-unbind-and-bind", rig, events::unbindAndBind);
        if (pci) {
            addIf(name.endsWith("client"), name + "/memory-hot-plug", rig, events::plugMemory);
        }
        final int kills =
                name.equals("microvm/client") || name.equals("microvm/packed/client") ? KILLS : KILLS_OF_OTHERS;
        cells.add(cell(brief, name + "/back-end-killed-" + kills + "-times", rig, () -> new KillSeries(lab).run(kills))
                .within(Duration.ofMinutes(20)));
        addIf(brief, name + "/guest-reboot", rig, events::reboot);
        addIf(name.equals("pci/client"), name + "/qemu-killed-and-restarted", rig, events::killQemu);
    }

    private void features(final String machine, final Rig rig) {
        Rig offered = rig;
        Rig asked = rig;
        for (final String feature : FEATURES) {
            final Rig port = rig.port(feature + "=off");
            final Rig nic = rig.nic(PROPERTIES.get(feature) + "=off");
            addIf(false, machine + "/" + feature + "-off-at-port", port, () -> without(List.of(feature)));
            addIf(false, machine + "/" + feature + "-off-at-nic", nic, () -> without(List.of(feature)));
            offered = offered.port(feature + "=off");
            asked = asked.nic(PROPERTIES.get(feature) + "=off");
        }
        addIf(machine.equals("microvm"), machine + "/all-off-at-port", offered, () -> without(FEATURES));
        addIf(machine.equals("pci"), machine + "/all-off-at-nic", asked, () -> without(FEATURES));
    }

    private void without(final List<String> off) throws IOException, InterruptedException {
        for (final String feature : FEATURES) {
            assertEquals(!off.contains(feature), lab.has(BITS.get(feature)), feature);
        }
        lab.ping(100, 1472);
        lab.transfer(10);
        events.restartBackend();
        lab.ping(100, 56);
    }

    private void rest() {
        final Rig legacy = Rig.client("microvm").qemu("-global", "virtio-mmio.force-legacy=true");
        addIf(true, "microvm/legacy-header", legacy, this::legacy);
        addIf(false, "microvm/legacy-header-mrg_rxbuf-off", legacy.port("mrg_rxbuf=off"), this::legacy);
        final Rig legacyPci = Rig.client("pci").nic("disable-modern=on").nic("disable-legacy=off");
        addIf(false, "pci/legacy-header", legacyPci, this::legacy);
        addIf(false, "pci/legacy-header-mrg_rxbuf-off", legacyPci.port("mrg_rxbuf=off"), this::legacy);
        for (final String machine : List.of("microvm", "pci")) {
            final Rig wide =
                    Rig.client(machine).port("queues=4").nic("queues=4").qemu("-smp", "2");
            addIf(machine.equals("microvm"), machine + "/channels-come-and-go", wide, () -> {
                assertTrue(lab.has(MQ), "MQ");
                events.changeChannels(4);
            });
            addIf(false, machine + "/host_mtu", Rig.client(machine).nic("host_mtu=1400"), this::mtu);
        }
        addIf(true, "pci/device-add-and-del", Rig.client("pci").unplugged(), events::addAndRemoveDevice);
    }

    /** The guest takes the MTU that QEMU was told, and frames of that size pass. */
    private void mtu() throws IOException {
        assertTrue(lab.has(MTU), "MTU");
        assertEquals("1400", lab.subject().must("cat /sys/class/net/nic0/mtu").trim());
        lab.ping(100, 1400 - 28);
        lab.transfer(10);
    }

    private void legacy() throws IOException, InterruptedException {
        assertFalse(lab.has(VERSION_1), "VERSION_1");
        lab.ping(100, 1472);
        lab.transfer(10);
        events.restartBackend();
        lab.ping(100, 56);
    }

    private void addIf(final boolean brief, final String name, final Rig rig, final Cell.Body body) {
        cells.add(cell(brief, name, rig, body));
    }

    private Cell cell(final boolean brief, final String name, final Rig rig, final Cell.Body body) {
        final Cell cell = Cell.of("qemu/" + name, () -> {
            lab.prepare(rig);
            body.run();
            lab.backend().checkNoFaults();
        });
        return brief ? cell.inShortForm() : cell;
    }
}
