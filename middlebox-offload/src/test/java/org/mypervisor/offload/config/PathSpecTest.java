package org.mypervisor.offload.config;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.mypervisor.offload.CountElement;
import org.mypervisor.offload.FilterElement;

class PathSpecTest {
    @TempDir
    private Path folder;

    private String filter;

    @BeforeEach
    void writeRules() throws IOException {
        filter = "filter(rules=" + Files.writeString(folder.resolve("acl.rules"), "deny arp\n") + ")";
    }

    @ParameterizedTest
    @ValueSource(strings = {"a -> b", "a->b", "  a  ->  b  ", "a\t-> b"})
    void shouldReadOneWay(final String path) {
        assertEquals(List.of("a -> b"), Loading.ports("a", "b").path(path).paths());
    }

    @Test
    void shouldReadIdsWithDashesNextToArrows() {
        assertEquals(
                List.of("fw-in -> x-", "x- -> fw-in"),
                Loading.ports("fw-in", "x-").path("fw-in->x-").path("x-->fw-in").paths());
        assertEquals(
                List.of("fw-in -> x-", "x- -> fw-in"),
                Loading.ports("fw-in", "x-").path("fw-in<->x-").paths());
    }

    @Test
    void shouldExpandBothWaysWithElementsInBoth() {
        final Topology topology = Loading.ports("a", "b")
                .path("a <-> " + filter + " <-> count <-> b")
                .load();
        final ExpandedPath there = topology.paths().get(0);
        final ExpandedPath back = topology.paths().get(1);
        assertEquals("a -> " + filter + " -> count -> b", there.text());
        assertEquals("b -> count -> " + filter + " -> a", back.text());
        assertEquals("a", there.source());
        assertEquals("b", there.destination());
        assertEquals(List.of(), there.guards());
        final FilterElement first =
                assertInstanceOf(FilterElement.class, there.elements().get(0).make());
        final FilterElement second =
                assertInstanceOf(FilterElement.class, back.elements().get(1).make());
        assertInstanceOf(CountElement.class, back.elements().get(0).make());
        assertSame(first.rules(), second.rules());
    }

    @Test
    void shouldWriteElementsInTheirCanonicalForm() {
        assertEquals(
                List.of("a -> " + filter + " -> count -> b"),
                Loading.ports("a", "b")
                        .path("a->" + filter.replace("(", " ( ").replace(")", " )") + "->count()->b")
                        .paths());
    }

    @Test
    void shouldSendPortsFramesBackToItWhenAsked() {
        assertEquals(List.of("a -> a"), Loading.ports("a").path("a -> a").paths());
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "a | 1 | 'a' is no path: write 'a -> filter(rules=FILE) -> b' or 'a <-> b'",
                "'' | 1 | '' is no path: write 'a -> filter(rules=FILE) -> b' or 'a <-> b'",
                "a -> | 5 | a path ends with the id of a port: write 'a -> filter(rules=FILE) -> b' or 'a <-> b'",
                "-> b | 1 | a path begins with the id of a port: write 'a -> filter(rules=FILE) -> b' or 'a <-> b'",
                "a -> -> b | 6 | expected an element like filter(rules=FILE) here, not nothing",
                "a <- b | 3 | paths are written in the direction of the frames: turn it round and use '->'",
                "a -> count <-> b | 12 | this path mixes '->' and '<->'; use one of them all along",
                "count() -> b | 1 | a path begins with the id of a port, not with the element 'count()': write 'a -> filter(rules=FILE) -> b' or 'a <-> b'",
                "a -> count() | 6 | a path ends with the id of a port, not with the element 'count()': write 'a -> filter(rules=FILE) -> b' or 'a <-> b'",
                "a -> bb | 6 | there is no port 'bb'; there are a, b; did you mean 'b'?",
                "a, -> b | 1 | 'a,' is no id: a letter and up to 63 letters, digits, '-', '.' or '_'",
                "a -> b -> a | 6 | 'b' is a port, and a path has ports at its ends only; write one path to it and one from it",
                "a -> fliter(rules=x) -> b | 6 | unknown element 'fliter'; there are count, filter; did you mean 'filter'?",
                "a -> filter -> b | 6 | 'filter' needs a rule file; write filter(rules=FILE)",
                "a -> filter() -> b | 6 | 'filter' needs a rule file; write filter(rules=FILE)",
                "a -> filter(rule=x) -> b | 13 | 'filter' has no argument 'rule'; did you mean 'rules'?",
                "a -> filter(x) -> b | 13 | expected key=value, not 'x'",
                "a -> filter(rules=) -> b | 19 | 'rules' has no value",
                "a -> filter(rules=x,rules=y) -> b | 21 | 'rules' was already given at --path:1:13",
                "a -> count(x=1) -> b | 12 | 'count' has no argument 'x'",
                "a -> filter(rules=x,on=inside) -> b | 21 | 'on' belongs to the elements of a --middlebox; a path says its direction with its arrow: use '->'",
                "a -> filter(rules=x -> b | 12 | this parenthesis has no partner",
                "a -> filter(rules=x)) -> b | 21 | this parenthesis has no partner",
                "a -> count() x -> b | 14 | unexpected 'x' behind the element's arguments",
                "a <-> a | 7 | '<->' joins two different ports; to send a port's frames back to it write 'a -> a'"
            })
    void shouldSayWhatIsWrongAndWhere(final String path, final int column, final String message) {
        assertEquals(
                "--path:1:" + column + ": " + message,
                Loading.ports("a", "b").path(path).mistakes().get(0));
    }

    @Test
    void shouldNameRuleFileThatIsNotThere() {
        final Path missing = Path.of("missing.rules").toAbsolutePath();
        assertEquals(
                List.of("--path:2:19: there is no rule file 'missing.rules' (" + missing + "); correct the name, which"
                        + " is relative to the file that says it, else to the current folder"),
                Loading.ports("a", "b")
                        .path("a -> b")
                        .path("b -> filter(rules=missing.rules) -> a")
                        .mistakes());
    }

    @Test
    void shouldNameMistakesOfRuleFileOnce() throws IOException {
        final Path bad = Files.writeString(folder.resolve("bad.rules"), "\ndeny tpc from any to any\n");
        final String element = "filter(rules=" + bad + ")";
        final List<String> mistakes = Loading.ports("a", "b", "c")
                .path("a <-> " + element + " <-> b")
                .path("c -> " + element + " -> a")
                .mistakes();
        assertEquals(1, mistakes.size());
        assertEquals(bad + ":2:6", mistakes.get(0).split(": ")[0]);
    }

    @Test
    void shouldRefusePortAsSourceOfTwoPaths() {
        assertEquals(
                List.of("--path:2:7: port 'a' is already the source of a path, at --path:1:1; its frames can go one way"
                        + " only"),
                Loading.ports("a", "b", "c").path("a -> b").path("c <-> a").mistakes());
        assertEquals(
                List.of("b -> a", "c -> a"),
                Loading.ports("a", "b", "c").path("b -> a").path("c -> a").paths());
    }
}
