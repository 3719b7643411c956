package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class YamlFileTest {
    @TempDir
    private Path folder;

    private Path file;

    @BeforeEach
    void name() {
        file = folder.resolve("mypervisor.yaml");
    }

    private List<String> mistakes(final String text) {
        return Loading.yaml(file, text).mistakes().stream()
                .map(message -> message.replace(file.toString(), "my.yaml"))
                .toList();
    }

    @Test
    void shouldReadTextsAndMappings() throws IOException {
        Files.writeString(folder.resolve("acl.rules"), "deny arp\n");
        final Topology topology = Loading.yaml(file, """
                        # a middlebox and a wire
                        ports:
                          - id=client,path=/run/client.sock
                          - 'id=server,path=/run/server.sock'
                          - {id: fw-in, path: /run/fw-in.sock, queues: 2, packed: off}
                          - id: fw-out
                            path: "/run/fw-out.sock"
                            mode: 0600
                          - id=x,path=/run/x.sock
                        paths:
                          - x -> x
                        middleboxes:
                          - id: fw
                            inside: client:fw-in
                            outside: server:fw-out
                            offload: filter(rules=acl.rules)+wire
                        """).load();
        assertEquals(
                List.of(
                        "x -> x",
                        "client -> filter(rules=acl.rules) -> server",
                        "server -> filter(rules=acl.rules) -> client",
                        "fw-in -> client",
                        "fw-out -> server"),
                topology.paths().stream().map(ExpandedPath::text).toList());
        assertEquals(2, topology.ports().get(2).queues());
        assertEquals(false, vhostUser(topology, 2).offered().packed());
        assertEquals(0600, vhostUser(topology, 3).access().mode());
    }

    private static PortSpec.VhostUser vhostUser(final Topology topology, final int port) {
        return (PortSpec.VhostUser) topology.ports().get(port).kind();
    }

    @Test
    void shouldShowTagsThatOnlyTheParserTakes() {
        for (final String entry : List.of("!%20 a", "!%20 [a]", "!a%20 {id: a}")) {
            assertEquals(
                    List.of("my.yaml:2:5: a tag like this is not allowed in YAML; remove it"),
                    mistakes("ports:\n  - " + entry + "\n"),
                    entry);
        }
    }

    @Test
    void shouldAddCommandLineBehindTheFile() {
        assertEquals(
                List.of("a -> b", "b -> a"),
                Loading.yaml(file, "ports: ['id=a,path=a']\npaths: [a -> b]\n")
                        .port("id=b,path=b")
                        .path("b -> a")
                        .paths());
    }

    @Test
    void shouldAcceptEmptyFileAndEmptyLists() {
        for (final String text : List.of("", "# nothing\n", "---\n", "ports:\npaths:\nmiddleboxes: []\n")) {
            assertEquals(
                    List.of("a -> a"),
                    Loading.yaml(file, text).port("id=a,path=a").path("a -> a").paths());
        }
    }

    @Test
    void shouldCountColumnsInsideOfTexts() {
        assertEquals(
                List.of("my.yaml:2:22: 'queues' is a number from 1 to 128, not '0'"),
                mistakes("ports:\n- id=a,path=b,queues=0\n"));
        assertEquals(
                List.of("my.yaml:3:23: 'queues' is a number from 1 to 128, not '0'"),
                mistakes("ports:\n\n- 'id=a,path=b,queues=0'\n"));
        assertEquals(
                List.of("my.yaml:4:15: there is no port 'c'; there are a, b"),
                mistakes("ports:\n- id=a,path=a\n- id=b,path=b\npaths: [\"a -> c\"]\n"));
    }

    @Test
    void shouldPointAtTheBeginningOfTextsWrittenOverSeveralLines() {
        assertEquals(
                List.of("my.yaml:2:3: 'queues' is a number from 1 to 128, not '0'"),
                mistakes("ports:\n- id=a,path=b,\n  queues=0\n"));
        assertEquals(
                List.of("my.yaml:2:3: 'queues' is a number from 1 to 128, not '0'"),
                mistakes("ports:\n- \"id=a,path=\\x62,queues=0\"\n"));
    }

    @Test
    void shouldPointAtKeysAndValuesOfMappings() {
        assertEquals(
                List.of(
                        "my.yaml:4:3: a port of type vhost-user has no key 'qeues'; it has id, type, queues, offloads,"
                                + " wait, path, server, packed, mrg_rxbuf, event_idx, indirect, in_order, mode, owner, group;"
                                + " did you mean 'queues'?",
                        "my.yaml:5:11: 'server' is on or off, not 'true'"),
                mistakes("ports:\n- id: a\n  path: b\n  qeues: 2\n  server: true\n"));
        assertEquals(List.of("my.yaml:2:3: the port has no 'id'; add id=NAME"), mistakes("ports:\n- path: b\n"));
        assertEquals(
                List.of("my.yaml:4:3: 'id' was already given at my.yaml:2:3"),
                mistakes("ports:\n- id: a\n  path: b\n  id: c\n"));
        assertEquals(List.of("my.yaml:3:8: 'path' has no value"), mistakes("ports:\n- id: a\n  path:\n"));
    }

    @Test
    void shouldRefuseOtherShapes() {
        assertEquals(
                List.of("my.yaml:1:1: expected a mapping with the lists ports, paths, middleboxes"), mistakes("- a\n"));
        assertEquals(
                List.of("my.yaml:1:1: unknown key 'port'; there are ports, paths, middleboxes; did you mean 'ports'?"),
                mistakes("port: []\n"));
        assertEquals(
                List.of("my.yaml:2:1: 'ports' was already given at my.yaml:1:1; put both into one list"),
                mistakes("ports: []\nports: []\n"));
        assertEquals(
                List.of("my.yaml:1:8: 'ports' is a list; begin each entry with '- '"), mistakes("ports: {id: a}\n"));
        assertEquals(
                List.of("my.yaml:2:3: expected a path like 'a -> filter(rules=FILE) -> b' here"),
                mistakes("paths:\n- {a: b}\n"));
        assertEquals(
                List.of("my.yaml:2:3: expected key=value,key=value or a mapping here"), mistakes("ports:\n- [a]\n"));
        assertEquals(
                "my.yaml:2:7: expected one value here",
                mistakes("ports:\n- id: [a]\n  path: b\n").get(0));
    }

    @Test
    void shouldSayWhereTextIsNotYaml() {
        assertEquals("my.yaml:2:1", mistakes("ports: [\n").get(0).split(": ")[0]);
        assertEquals("my.yaml:2:1", mistakes("ports:\n\t- a\n").get(0).split(": ")[0]);
        assertEquals("my.yaml:2:1", mistakes("a: b\n--- c\n").get(0).split(": ")[0]);
    }

    @Test
    void shouldSayThatFileIsNotThereAndNotBlamePaths() {
        final Path missing = folder.resolve("missing.yaml");
        assertEquals(
                List.of(missing + ":1:1: cannot be read: there is no such file (" + missing + ")"),
                new Loading().file(missing).path("a -> b").mistakes());
    }

    @Test
    void shouldLookForRulesBesideTheFile() {
        assertEquals(
                List.of(
                        "my.yaml:2:27: there is no rule file '" + folder.resolve("x.rules") + "' ("
                                + folder.resolve("x.rules")
                                + "); correct the name, which is relative to the file that says it, else to the current folder"),
                mistakes("ports: ['id=a,path=a']\npaths: [a -> filter(rules=x.rules) -> a]\n"));
    }
}
