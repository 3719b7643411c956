package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MiddleboxSpecTest {
    private static final String SIDES = "id=fw,inside=client:fw-in,outside=server:fw-out,";

    @TempDir
    private Path folder;

    private String rules;
    private String filter;

    @BeforeEach
    void writeRules() throws IOException {
        rules = Files.writeString(folder.resolve("acl.rules"), "deny arp\n").toString();
        filter = "filter(rules=" + rules + ")";
    }

    private static Loading middlebox(final String spec) {
        return Loading.ports("client", "fw-in", "server", "fw-out").middlebox(spec);
    }

    @Test
    void shouldSendEverythingThroughTheVmWithoutOffload() {
        assertEquals(
                List.of("client -> fw-in", "server -> fw-out", "fw-in -> client", "fw-out -> server"),
                middlebox(SIDES + "offload=none").paths());
    }

    @Test
    void shouldFilterWhatGoesIntoTheVm() {
        assertEquals(
                List.of(
                        "client -> " + filter + " -> fw-in",
                        "server -> " + filter + " -> fw-out",
                        "fw-in -> client",
                        "fw-out -> server"),
                middlebox(SIDES + "offload=" + filter).paths());
    }

    @Test
    void shouldFilterOneSideOnly() {
        assertEquals(
                List.of("client -> " + filter + " -> fw-in", "server -> fw-out", "fw-in -> client", "fw-out -> server"),
                middlebox(SIDES + "offload=filter(rules=" + rules + ",on=inside)")
                        .paths());
        assertEquals(
                List.of("client -> fw-in", "server -> " + filter + " -> fw-out", "fw-in -> client", "fw-out -> server"),
                middlebox(SIDES + "offload=filter(on=outside,rules=" + rules + ")")
                        .paths());
    }

    @Test
    void shouldWirePastTheVm() {
        final Topology topology =
                middlebox(SIDES + "offload=" + filter + "+wire").load();
        assertEquals(
                List.of(
                        "client -> " + filter + " -> server",
                        "server -> " + filter + " -> client",
                        "fw-in -> client",
                        "fw-out -> server"),
                topology.paths().stream().map(ExpandedPath::text).toList());
        topology.paths().forEach(path -> assertEquals(List.of(), path.guards()));
    }

    @Test
    void shouldWireWithFilterOnOneSideOnly() {
        assertEquals(
                List.of(
                        "client -> server",
                        "server -> " + filter + " -> client",
                        "fw-in -> client",
                        "fw-out -> server"),
                middlebox(SIDES + "offload=filter(rules=" + rules + ",on=outside) + wire")
                        .paths());
    }

    @Test
    void shouldGuardOnlyTheWireWhenVmDownDrops() {
        final Topology topology =
                middlebox(SIDES + "offload=" + filter + "+wire,vm-down=drop").load();
        assertEquals(
                List.of(List.of("fw-in", "fw-out"), List.of("fw-in", "fw-out"), List.of(), List.of()),
                topology.paths().stream().map(ExpandedPath::guards).toList());
    }

    @Test
    void shouldNotGuardPathsThatEndInTheVm() {
        middlebox(SIDES + "offload=none,vm-down=drop")
                .load()
                .paths()
                .forEach(path -> assertEquals(List.of(), path.guards()));
    }

    @Test
    void shouldApplySeveralElementsInTheirOrder() {
        assertEquals(
                List.of(
                        "client -> count -> " + filter + " -> server",
                        "server -> count -> client",
                        "fw-in -> client",
                        "fw-out -> server"),
                middlebox(SIDES + "offload=count+filter(rules=" + rules + ",on=inside)+wire")
                        .paths());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "inside=client:fw-in,outside=server:fw-out,offload=none | 1 | the middlebox has no 'id'; add id=NAME",
                "id=fw,outside=server:fw-out,offload=none | 1 | the middlebox has no 'inside'; add inside=NET:GUEST",
                "id=fw,inside=client:fw-in,offload=none | 1 | the middlebox has no 'outside'; add outside=NET:GUEST",
                "id=fw,inside=client:fw-in,outside=server:fw-out | 1 | the middlebox has no 'offload'; add offload=none, or filter(rules=FILE), or filter(rules=FILE)+wire",
                "id=fw,inside=client,outside=server:fw-out,offload=none | 14 | 'inside' is NET:GUEST, the port towards the network and the port of the VM's NIC, not 'client'",
                "id=fw,inside=client:,outside=server:fw-out,offload=none | 21 | '' is no id: a letter and up to 63 letters, digits, '-', '.' or '_'",
                "id=fw,inside=client:fw-ni,outside=server:fw-out,offload=none | 21 | there is no port 'fw-ni'; there are client, fw-in, server, fw-out; did you mean 'fw-in'?",
                "id=fw,inside=client:fw-in,outside=server:fw-out,ofload=none | 49 | a middlebox has no key 'ofload'; it has id, inside, outside, offload, vm-down; did you mean 'offload'?",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=wire | 57 | 'wire' needs a filter before it; to join two ports without one use --path 'NET <-> NET'",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=wire+count | 57 | 'wire' cannot stand here: 'offload' is none, filter(rules=FILE) or filter(rules=FILE)+wire",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=none+wire | 57 | 'none' cannot stand here: 'offload' is none, filter(rules=FILE) or filter(rules=FILE)+wire",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=+wire | 57 | expected an element like filter(rules=FILE) here, not nothing",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=filtr(rules=x)+wire | 57 | unknown element 'filtr'; there are count, filter; did you mean 'filter'?",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=filter(rules=x | 63 | this parenthesis has no partner",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=count(on=up) | 66 | 'on' is inside or outside, not 'up'; leave it out for both",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=none,vm-down=stop | 70 | 'vm-down' is forward or drop, not 'stop'",
                "id=fw,inside=client:fw-in,outside=server:fw-out,offload=none,vm-down=forward | 70 | without '+wire' every frame goes through the VM, so nothing can be forwarded while it is down; add '+wire' or leave vm-down out",
                "id=fw,inside=client:fw-in,outside=client:fw-out,offload=none | 35 | port 'client' is already the source of a path, at --middlebox:1:14; its frames can go one way only"
            })
    void shouldSayWhatIsWrongAndWhere(final String spec, final int column, final String message) {
        assertEquals(
                "--middlebox:1:" + column + ": " + message,
                middlebox(spec).mistakes().get(0));
    }

    @Test
    void shouldRefuseSecondMiddleboxOfSameId() {
        assertEquals(
                "--middlebox:2:4: there is already a middlebox 'fw', at --middlebox:1:4; rename one",
                middlebox(SIDES + "offload=none")
                        .middlebox(SIDES + "offload=none")
                        .mistakes()
                        .get(0));
    }

    @Test
    void shouldRefusePathFromPortOfMiddlebox() {
        assertEquals(
                List.of("--middlebox:1:14: port 'client' is already the source of a path, at --path:1:1; its frames can"
                        + " go one way only"),
                middlebox(SIDES + "offload=none").path("client -> server").mistakes());
    }
}
