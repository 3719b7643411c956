package org.mypervisor.offload;

import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mypervisor.offload.capture.CaptureFiles;
import org.mypervisor.offload.capture.CaptureFiles.Frame;

/** From a capture to a file, and to nothing, the worker's thread allocates nothing at all. */
@Timeout(120)
final class CaptureAllocationTest {
    private static final int FRAMES = 1000;
    private static final int WARM_UP = 50_000;
    private static final int MEASURED = 500_000;

    @TempDir
    private Path folder;

    /** The paced ones sleep now and then, with a timer. */
    @ParameterizedTest
    @CsvSource({
        "speed=max, pcap, f.pcap",
        "speed=max, pcap, f.pcapng",
        "speed=max, null, ''",
        "rate=300000, pcap, f.pcap",
        "rate=300000, null, ''"
    })
    void shouldAllocateNothing(final String pace, final String type, final String name) throws IOException {
        final List<Frame> frames = new ArrayList<>();
        for (int i = 0; i < FRAMES; i++) {
            frames.add(new Frame(i, new byte[60 + i % 200], 300));
        }
        Files.write(folder.resolve("in"), CaptureFiles.pcapng(ByteOrder.LITTLE_ENDIAN, 0, frames));
        Files.writeString(folder.resolve("rules"), "deny udp from any to any port 53\n");
        final String out = "id=out,type=" + type + (name.isEmpty() ? "" : ",write=" + folder.resolve(name));
        final String in = "id=in,type=pcap,read=" + folder.resolve("in") + ",loop=forever," + pace;
        final String path = "in -> filter(rules=" + folder.resolve("rules") + ") -> out";
        try (RunningBackend backend =
                RunningBackend.withSpecs(folder, false, List.of(in, out), List.of(path), List.of())) {
            awaitFrames(backend, WARM_UP);
            final long worker = RunningBackend.workerThreadId();
            Allocations.assertNone(
                    worker,
                    () -> awaitFrames(backend, backend.port("in").received().packets() + MEASURED));
        }
    }

    /** Those that are denied are counted as well. */
    private static void awaitFrames(final RunningBackend backend, final long frames) {
        RunningBackend.await("frames", () -> backend.port("in").received().packets() >= frames);
    }
}
