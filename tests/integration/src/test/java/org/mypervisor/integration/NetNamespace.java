package org.mypervisor.integration;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A network namespace, in which nothing is sent that no test asked for (no IPv6). With it go all interfaces in it; a process
 * that still runs there keeps both.
 */
final class NetNamespace implements AutoCloseable {
    private static final AtomicInteger MADE = new AtomicInteger();

    private final String name =
            "mypervisor-%d-%d".formatted(ProcessHandle.current().pid(), MADE.incrementAndGet());

    NetNamespace() {
        Shell.must("ip netns add " + name);
        must(
                "sh",
                "-c",
                "for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done; ip link set lo up");
    }

    /** Why there can be none here, or null. */
    static String missing() {
        if (!"root".equals(System.getProperty("user.name"))) {
            return "network namespaces need root";
        }
        if (!Programs.exists("ip")) {
            return "ip is not installed; qemu-scripts/install.sh installs it";
        }
        if (!Programs.exists("ethtool")) {
            return "ethtool is not installed; qemu-scripts/install.sh installs it";
        }
        final Shell.Result result = Shell.run(List.of("unshare", "--net", "test", "-c", "/dev/net/tun"));
        return result.status() == 0
                ? null
                : "no network namespaces or no /dev/net/tun here: "
                        + result.output().trim();
    }

    String name() {
        return name;
    }

    /** A command line that runs the program in here; its process becomes the program. */
    List<String> command(final String... program) {
        final List<String> command = new ArrayList<>(List.of("ip", "netns", "exec", name));
        command.addAll(Arrays.asList(program));
        return command;
    }

    Shell.Result run(final String... program) {
        return Shell.run(command(program));
    }

    String must(final String... program) {
        return Shell.must(command(program));
    }

    /** {@code ip} with these words. */
    String ip(final String words) {
        return Shell.must("ip -n " + name + " " + words);
    }

    boolean hasInterface(final String device) {
        return Shell.run(List.of("ip", "-n", name, "link", "show", "dev", device))
                        .status()
                == 0;
    }

    /** Makes a pair of interfaces, this end up. */
    void addVeth(final String device, final String peer, final NetNamespace peerNamespace) {
        ip("link add %s type veth peer name %s netns %s".formatted(device, peer, peerNamespace.name));
        ip("link set " + device + " up");
    }

    /** What leaves by this end of a veth has its checksum and fits the MTU. */
    void sendCompleteFrames(final String device) {
        must("ethtool", "-K", device, "tx", "off", "tso", "off");
    }

    /** Whether an XDP program is attached to it. */
    boolean hasXdp(final String device) {
        return ip("link show dev " + device).contains("prog/xdp");
    }

    void setUp(final String device, final String address) {
        ip("addr add %s/24 dev %s".formatted(address, device));
        ip("link set " + device + " up");
    }

    /** A counter of /proc/net/snmp. */
    long counter(final String protocol, final String counter) {
        List<String> names = null;
        for (final String line : must("cat", "/proc/net/snmp").split("\n")) {
            if (line.startsWith(protocol + ":")) {
                final List<String> words = Arrays.asList(line.trim().split(" "));
                if (names != null) {
                    return Long.parseLong(words.get(names.indexOf(counter)));
                }
                names = words;
            }
        }
        throw new AssertionError("no " + protocol + " " + counter);
    }

    /**
     * Pings as fast as they are answered, which all of them must be. The kernel's count of answers decides: ping itself waits
     * for the last one no longer than two usual ones take, which is a few microseconds.
     */
    void flood(final String address, final int count, final int size) throws InterruptedException {
        final long before = counter("Icmp", "InEchoReps");
        final String output = run("ping", "-q", "-f", "-c", "" + count, "-s", "" + size, address)
                .output();
        Waiting.until(
                count + " answers: " + output,
                Duration.ofSeconds(2),
                () -> counter("Icmp", "InEchoReps") - before >= count);
    }

    @Override
    public void close() {
        Shell.run(List.of("ip", "netns", "del", name));
    }
}
