package org.mypervisor.integration;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** An nginx of our own in a network namespace, with one file of random bytes at {@code /data}. */
final class WebServer implements AutoCloseable {
    static final int PORT = 8080;

    /** On which it listens too. */
    static final int DENIED_PORT = 8081;

    private static final int SIZE = 100_000;
    private static final String CONFIGURATION = """
            daemon off;
            user root;
            pid pid;
            worker_processes 1;
            events { worker_connections 256; }
            http {
                access_log off;
                root www;
                keepalive_requests 1000000;
                client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp;
                scgi_temp_path temp;
                server { listen 8080; listen 8081; }
            }
            """;

    private final byte[] data = new byte[SIZE];
    private final Process nginx;

    WebServer(final NetNamespace namespace, final Path folder) throws IOException, InterruptedException {
        new Random().nextBytes(data);
        final Path www = Files.createDirectories(folder.resolve("www"));
        Files.write(www.resolve("data"), data);
        Files.writeString(folder.resolve("conf"), CONFIGURATION.replace("root www", "root " + www));
        final Path log = folder.resolve("error.log");
        nginx = new ProcessBuilder(namespace.command(
                        "nginx",
                        "-p",
                        folder + "/",
                        "-c",
                        folder.resolve("conf").toString(),
                        "-e",
                        log.toString()))
                .redirectErrorStream(true)
                .redirectOutput(folder.resolve("nginx.out").toFile())
                .start();
        Waiting.until("nginx listens", Duration.ofSeconds(10), () -> {
            if (!nginx.isAlive()) {
                throw new AssertionError("nginx ended: " + Files.readString(log));
            }
            return namespace.must("ss", "-Hltn").contains(":" + DENIED_PORT);
        });
    }

    /** Why there can be none here, or null. */
    static String missing() {
        for (final String program : new String[] {"nginx", "wrk", "ping", "ss"}) {
            if (!Programs.exists(program)) {
                return program + " is not installed; qemu-scripts/install.sh --with-experiment installs it";
            }
        }
        return null;
    }

    /** What another namespace gets must be what is here. */
    void checkFetchedFrom(final NetNamespace client, final String address) throws IOException {
        final Process bash = new ProcessBuilder(client.command(
                        "bash",
                        "-c",
                        "exec 3<> /dev/tcp/%s/%d; printf 'GET /data HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
                                .formatted(address, PORT)))
                .start();
        final byte[] answer = bash.getInputStream().readAllBytes();
        final int from = Math.max(answer.length - SIZE, 0);
        assertArrayEquals(data, Arrays.copyOfRange(answer, from, answer.length), "the file as it arrived");
    }

    static boolean canConnect(final NetNamespace client, final String address, final int port) {
        return client.run("timeout", "0.5", "bash", "-c", "exec 3<> /dev/tcp/%s/%d".formatted(address, port))
                        .status()
                == 0;
    }

    /** wrk for so long; no request may fail. */
    static String wrk(final NetNamespace client, final String address, final int connections, final int seconds) {
        final String output = client.must(
                "wrk",
                "-t1",
                "-c" + connections,
                "-d" + seconds + "s",
                "--timeout",
                "10s",
                "http://" + address + ":" + PORT + "/data");
        final List<String> words = Arrays.asList(output.trim().split("\\s+"));
        final int requests = Integer.parseInt(words.get(words.indexOf("requests") - 1));
        if (requests == 0 || output.contains("Socket errors") || output.contains("Non-2xx")) {
            throw new AssertionError(output);
        }
        return output;
    }

    @Override
    public void close() {
        nginx.descendants().forEach(ProcessHandle::destroy);
        nginx.destroy();
        nginx.onExit().join();
    }
}
