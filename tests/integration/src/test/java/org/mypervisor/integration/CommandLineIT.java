package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The launcher from another folder: what it prints and how it ends. */
final class CommandLineIT {
    @TempDir
    private Path folder;

    private record Result(int status, String out, String err) {}

    private Result mypervisor(final String... args) throws IOException, InterruptedException {
        final List<String> command =
                new ArrayList<>(List.of(BackendProcess.launcher().toString()));
        command.addAll(List.of(args));
        final Path out = folder.resolve("out");
        final Path err = folder.resolve("err");
        final Process process = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectOutput(out.toFile())
                .redirectError(err.toFile())
                .start();
        final int status = process.waitFor();
        return new Result(status, Files.readString(out, StandardCharsets.UTF_8), Files.readString(err));
    }

    private String port(final String id) {
        return "id=" + id + ",type=vhost-user,path=" + folder.resolve(id);
    }

    @Test
    void shouldPrintTheExpansionOfAMiddlebox() throws IOException, InterruptedException {
        Files.writeString(folder.resolve("acl.rules"), "deny udp from any to any port 53\n");
        final Result result = mypervisor(
                "check",
                "--port",
                port("client"),
                "--port",
                port("server"),
                "--port",
                port("fw-in"),
                "--port",
                port("fw-out"),
                "--middlebox",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=filter(rules=acl.rules)+wire");
        assertEquals(0, result.status(), result.err());
        for (final String path : new String[] {
            "client -> filter(rules=acl.rules) -> server",
            "server -> filter(rules=acl.rules) -> client",
            "fw-in -> client",
            "fw-out -> server"
        }) {
            assertTrue(result.out().contains(path + "\n"), result.out());
        }
    }

    @Test
    void shouldNameThePlaceOfAMistakeAndEndWithTwo() throws IOException, InterruptedException {
        final Result path = mypervisor("check", "--port", port("a"), "--path", "a -> nowhere");
        assertEquals(2, path.status());
        assertTrue(path.err().startsWith("--path:1:6: "), path.err());

        Files.writeString(folder.resolve("bad.rules"), "allow ip from any to any\ndeny udp form any to any\n");
        final Result rules = mypervisor(
                "check", "--port", port("a"), "--port", port("b"), "--path", "a -> filter(rules=bad.rules) -> b");
        assertEquals(2, rules.status());
        assertTrue(rules.err().startsWith("bad.rules:2:10: "), rules.err());
    }

    @Test
    void shouldReadAConfigurationFile() throws IOException, InterruptedException {
        Files.writeString(
                folder.resolve("fw.yaml"),
                "ports:\n  - id=a,type=vhost-user,path=/tmp/a.sock\n  - id=b,type=vhost-user,path=/tmp/b.sock\n"
                        + "paths:\n  - a <-> b\n");
        final Result result = mypervisor("check", "-c", "fw.yaml");
        assertEquals(0, result.status(), result.err());
        assertTrue(result.out().contains("b -> a"), result.out());
    }

    @Test
    void shouldEndWithTwoWhenASocketIsInUse() throws IOException, InterruptedException {
        try (BackendProcess running = BackendProcess.start(folder, "--port", port("a"))) {
            running.awaitControl();
            final Result second = mypervisor("run", "--port", port("a"), "--duration", "5");
            assertEquals(2, second.status());
            assertTrue(second.err().contains("in use by a running process"), second.err());
        }
    }

    @Test
    void shouldEndByItselfAfterTheDuration() throws IOException, InterruptedException {
        final Result result = mypervisor("run", "--port", port("a"), "--duration", "0.5");
        assertEquals(0, result.status(), result.err());
        assertTrue(Files.notExists(folder.resolve("a")));
    }

    /** Several times: it was lost only when two threads started logging at the same moment. */
    @Test
    void shouldSayNothingAtLevelError() throws IOException, InterruptedException {
        for (int i = 0; i < 6; i++) {
            final Result result = mypervisor(
                    "run",
                    "--log-level",
                    "error",
                    "--duration",
                    "0.1",
                    "--port",
                    port("a"),
                    "--port",
                    port("b"),
                    "--path",
                    "a <-> b");
            assertEquals(0, result.status(), result.err());
            assertEquals("", result.err());
        }
    }

    @Test
    void shouldShowStatisticsAsTable() throws IOException, InterruptedException {
        try (BackendProcess running =
                BackendProcess.start(folder, "--port", port("a"), "--port", port("b"), "--path", "a <-> b")) {
            running.awaitControl();
            final Result table =
                    mypervisor("stats", "--control", folder.resolve("control").toString());
            assertEquals(0, table.status(), table.err());
            assertTrue(table.out().contains("a -> b"), table.out());
        }
        final Result gone =
                mypervisor("stats", "--control", folder.resolve("control").toString());
        assertEquals(1, gone.status());
        assertTrue(gone.err().contains("--control"), gone.err());
    }

    @Test
    void shouldSayItsVersionAndRefuseUnknownOptions() throws IOException, InterruptedException {
        assertTrue(mypervisor("--version").out().startsWith("mypervisor "));
        assertEquals(2, mypervisor("run", "--prot", "x").status());
        assertEquals(2, mypervisor().status());
        assertEquals(
                2, mypervisor("check", "--port", port("a"), "--cpus", "1-0").status());
        assertEquals(
                2, mypervisor("check", "--port", port("a"), "--duration", "-1").status());
    }
}
