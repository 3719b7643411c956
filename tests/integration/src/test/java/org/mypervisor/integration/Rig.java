package org.mypervisor.integration;

import java.util.ArrayList;
import java.util.List;

/**
 * How the guest under test is attached. Cells with the same rig share a booted guest.
 *
 * @param machine as for {@code launch-guest.sh}
 * @param plugged whether the NIC is there from the start
 * @param port further options of its port, each behind a comma
 * @param nic further properties of its NIC, each behind a comma
 * @param qemu further arguments for QEMU
 */
record Rig(String machine, boolean plugged, String port, String nic, List<String> qemu) {
    /** The slot for a NIC that is added and removed, and room for memory that is added. */
    private static final List<String> ROOM =
            List.of("-device", "pcie-root-port,id=hole,chassis=1,slot=1", "-m", "192M,slots=2,maxmem=1G");

    /** QEMU connects to the back-end. */
    static Rig client(final String machine) {
        return new Rig(machine, true, "", "", machine.equals("pci") ? ROOM : List.of());
    }

    /** QEMU listens, the back-end connects to it. */
    static Rig server(final String machine) {
        return client(machine).port("server=off").nic("server=on");
    }

    Rig port(final String option) {
        return new Rig(machine, plugged, port + "," + option, nic, qemu);
    }

    Rig nic(final String property) {
        return new Rig(machine, plugged, port, nic + "," + property, qemu);
    }

    Rig qemu(final String... more) {
        final List<String> all = new ArrayList<>(qemu);
        all.addAll(List.of(more));
        return new Rig(machine, plugged, port, nic, all);
    }

    Rig unplugged() {
        return new Rig(machine, false, port, nic, qemu);
    }
}
