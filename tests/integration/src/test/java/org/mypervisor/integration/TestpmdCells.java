package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** The matrix of DPDK's virtio-user: each cell generates frames on both ends of a wire and accounts for all of them. */
final class TestpmdCells {
    private static final int RESTARTS = 5;

    /** Frames in each direction, several times what the rings hold. */
    private static final int ENOUGH = 10_000;

    private static final int[] SPLIT_SIZES = {64, 128, 256, 512, 1024};
    private static final int[] PACKED_SIZES = {64, 128, 200, 256, 257, 512, 1000, 1024};

    private final Path folder;
    private final List<Cell> cells = new ArrayList<>();
    private int runs;

    private TestpmdCells(final Path folder) {
        this.folder = folder;
    }

    static List<Cell> in(final Path folder) {
        final TestpmdCells matrix = new TestpmdCells(folder);
        matrix.declare();
        return matrix.cells;
    }

    private void declare() {
        final TestpmdSetup usual = new TestpmdSetup().ringSize(256);
        for (final int queues : new int[] {1, 2, 4}) {
            add(true, "client/queues-" + queues, usual.queues(queues));
            add(queues == 2, "server/queues-" + queues, usual.queues(queues).asServer());
            add(
                    queues == 4,
                    "client/packed/queues-" + queues,
                    usual.queues(queues).option("packed_vq=1"));
        }
        formats(usual);
        for (final String option : new String[] {
            "mrg_rxbuf=off", "in_order=off", "indirect=off", "event_idx=off", "packed=off", "offloads=off"
        }) {
            cells.add(Cell.of("testpmd/port-" + option.replace('=', '-'), () -> run(usual, option, 0)));
        }
        cells.add(Cell.of("testpmd/client/port-stop-start", () -> run(usual, "", RESTARTS))
                .inShortForm());
        cells.add(Cell.of("testpmd/client/port-stop-start-queues-4", () -> run(usual.queues(4), "", RESTARTS)));
        cells.add(Cell.of("testpmd/client/packed/port-stop-start", () -> run(usual.option("packed_vq=1"), "", RESTARTS))
                .inShortForm());
        cells.add(Cell.of("testpmd/server/port-stop-start", () -> run(usual.asServer(), "", RESTARTS)));
        for (final int queues : new int[] {1, 4}) {
            final Cell huge = Cell.of("testpmd/huge-pages/queues-" + queues, () -> {
                final String missing = TestpmdSetup.hugePagesMissing();
                assumeTrue(missing == null, missing);
                run(usual.queues(queues).onHugePages(), "", 0);
            });
            cells.add(queues == 1 ? huge.inShortForm() : huge);
        }
    }

    /** Both ring formats with all that changes how a ring works; a packed ring need not have a power of two. */
    private void formats(final TestpmdSetup usual) {
        for (final boolean packed : new boolean[] {false, true}) {
            for (int features = 0; features < 8; features++) {
                final int mergeable = features & 1;
                final int inOrder = features >> 1 & 1;
                final String indirect = (features >> 2) == 1 ? "on" : "off";
                final int[] sizes = packed ? PACKED_SIZES : SPLIT_SIZES;
                for (int i = 0; i < sizes.length; i++) {
                    final String name = "%s/mrg_rxbuf-%d/in_order-%d/indirect-%s/ring-%d"
                            .formatted(packed ? "packed" : "split", mergeable, inOrder, indirect, sizes[i]);
                    final TestpmdSetup setup = usual.ringSize(sizes[i])
                            .option("mrg_rxbuf=" + mergeable)
                            .option("in_order=" + inOrder)
                            .option("packed_vq=" + (packed ? 1 : 0));
                    final Cell cell = Cell.of("testpmd/" + name, () -> run(setup, "indirect=" + indirect, 0));
                    // Each set of features once, and each size.
                    cells.add(i == features % sizes.length ? cell.inShortForm() : cell);
                }
            }
        }
    }

    private void add(final boolean brief, final String name, final TestpmdSetup setup) {
        final Cell cell = Cell.of("testpmd/" + name, () -> run(setup, "", 0));
        cells.add(brief ? cell.inShortForm() : cell);
    }

    private void run(final TestpmdSetup setup, final String option, final int restarts)
            throws IOException, InterruptedException {
        final Path own = Files.createDirectory(folder.resolve("run" + runs++));
        final String more = (option.isEmpty() ? "" : "," + option)
                + (setup.queues() > 1 ? ",queues=" + setup.queues() : "")
                + (setup.server() ? ",server=off" : "");
        final List<String> options = new ArrayList<>(List.of("--path", "a <-> b", "--cpus", Testpmd.backendCpu()));
        for (final String id : List.of("a", "b")) {
            options.addAll(List.of("--port", "id=" + id + ",type=vhost-user,path=" + own.resolve(id) + more));
        }
        try (BackendProcess backend = BackendProcess.start(own, options.toArray(String[]::new))) {
            backend.awaitControl();
            final Testpmd.Totals totals =
                    setup.generate(own, own.resolve("a"), own.resolve("b"), () -> moreFrames(backend), restarts);
            check(backend.stats(), totals, 2L * 2 * setup.queues() * setup.ringSize() * (restarts + 1));
            backend.stop();
        } catch (final AssertionError e) {
            System.out.println(Files.readString(own.resolve("backend.log")));
            throw e;
        }
    }

    /** A second, or longer on a machine that is busy with other things. */
    private static void moreFrames(final BackendProcess backend) throws IOException, InterruptedException {
        final long a = backend.port("a").get("sent").get("packets").asLong();
        final long b = backend.port("b").get("sent").get("packets").asLong();
        Thread.sleep(1000);
        Waiting.until(
                "frames pass both ways",
                Duration.ofSeconds(30),
                () -> backend.port("a").get("sent").get("packets").asLong() > a + ENOUGH
                        && backend.port("b").get("sent").get("packets").asLong() > b + ENOUGH);
    }

    /** @param inRings frames that all rings can hold, each time that the generator stops */
    private static void check(final JsonNode stats, final Testpmd.Totals totals, final long inRings) {
        for (final JsonNode port : stats.get("ports")) {
            assertTrue(
                    sum(port.get("faults")) == 0 && !port.get("state").asText().equals("broken"), port::toString);
        }
        long drops = 0;
        for (final String list : new String[] {"ports", "paths"}) {
            for (final JsonNode row : stats.get(list)) {
                drops += sum(row.get("drops"));
            }
        }
        final long missing = totals.transmitted() - totals.received();
        assertTrue(
                missing >= drops && missing - drops <= inRings,
                "tx - rx = " + missing + ", drops = " + drops + ", rings hold up to " + inRings + ": " + stats);
    }

    private static long sum(final JsonNode counts) {
        long sum = 0;
        for (final JsonNode count : counts) {
            sum += count.asLong();
        }
        return sum;
    }
}
