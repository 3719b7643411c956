package org.mypervisor.offload;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mypervisor.offload.rules.RuleFileException;
import org.mypervisor.offload.rules.RuleSet;

class ElementsTest {
    private final Elements elements = new Elements();

    @TempDir
    private Path folder;

    private Elements.Recipe filter(final String file) throws Elements.ArgumentException, RuleFileException {
        return elements.prepare("filter", Map.of("rules", file), folder);
    }

    @Test
    void shouldMakeFreshElementsThatShareTheRules() throws Exception {
        Files.writeString(folder.resolve("acl.rules"), "deny arp");
        final Elements.Recipe recipe = filter("acl.rules");
        final FilterElement first = assertInstanceOf(FilterElement.class, recipe.make());
        final FilterElement second = assertInstanceOf(FilterElement.class, recipe.make());
        final FilterElement third = assertInstanceOf(
                FilterElement.class,
                filter("../" + folder.getFileName() + "/acl.rules").make());
        assertNotSame(first, second);
        assertSame(first.rules(), second.rules());
        assertSame(first.rules(), third.rules());
        assertInstanceOf(
                CountElement.class, elements.prepare("count", Map.of(), folder).make());
    }

    @Test
    void shouldReloadRulesOfAllElements() throws Exception {
        final Path file = Files.writeString(folder.resolve("acl.rules"), "deny arp");
        final Elements.Recipe recipe = filter("acl.rules");
        final FilterElement early = (FilterElement) recipe.make();
        Files.writeString(file, "allow arp\ndefault deny");
        elements.reloadRules();
        assertEquals("default deny", early.rules().text(1));
        assertSame(early.rules(), ((FilterElement) recipe.make()).rules());
    }

    @Test
    void shouldKeepAllRulesWhenOneFileIsBad() throws IOException, Elements.ArgumentException, RuleFileException {
        final Path good = Files.writeString(folder.resolve("a.rules"), "deny arp");
        final Path bad = Files.writeString(folder.resolve("b.rules"), "deny arp");
        final FilterElement a = (FilterElement) filter("a.rules").make();
        final FilterElement b = (FilterElement) filter("b.rules").make();
        Files.writeString(good, "allow arp");
        Files.writeString(bad, "alow arp");
        final RuleFileException e = assertThrows(RuleFileException.class, elements::reloadRules);
        assertEquals(bad + ":1:1", e.mistakes().get(0).place().toString());
        assertEquals("deny arp", a.rules().text(0));
        assertEquals("deny arp", b.rules().text(0));
        Files.delete(bad);
        assertThrows(RuleFileException.class, elements::reloadRules);
        assertEquals("deny arp", b.rules().text(0));
    }

    @Test
    void shouldNameTheWrongArgument() {
        assertEquals("", argument("fliter", Map.of()));
        assertEquals("", argument("filter", Map.of()));
        assertEquals("rule", argument("filter", Map.of("rule", "x")));
        assertEquals("rules", argument("filter", Map.of("rules", "missing.rules")));
        assertEquals("rules", argument("filter", Map.of("rules", "a\0b")));
        assertEquals("x", argument("count", Map.of("x", "1")));
    }

    @Test
    void shouldReadClassBenchWithTheActionThatItIsGiven() throws Exception {
        Files.writeString(
                folder.resolve("acl1"), "@10.0.0.0/8 0.0.0.0/0 0 : 65535 53 : 53 0x11/0xFF 0x0000/0x0000\n".repeat(2));
        assertEquals("deny deny default allow", actions(Map.of("rules", "acl1", "format", "classbench")));
        assertEquals(
                "deny deny default allow", actions(Map.of("rules", "acl1", "format", "classbench", "action", "deny")));
        assertEquals(
                "allow allow default deny",
                actions(Map.of("rules", "acl1", "format", "classbench", "action", "allow")));
        assertEquals(
                "deny allow default allow",
                actions(Map.of("rules", "acl1", "format", "classbench", "action", "alternate")));
        assertEquals("format", argument("filter", Map.of("rules", "acl1", "format", "classbranch")));
        assertEquals("action", argument("filter", Map.of("rules", "acl1", "format", "classbench", "action", "drop")));
        assertEquals("action", argument("filter", Map.of("rules", "acl1", "action", "deny")));
        assertThrows(RuleFileException.class, () -> filter("acl1"));
    }

    private String actions(final Map<String, String> arguments) throws Exception {
        final FilterElement filter =
                (FilterElement) elements.prepare("filter", arguments, folder).make();
        final RuleSet rules = filter.rules();
        return (rules.allows(0) ? "allow " : "deny ") + (rules.allows(1) ? "allow " : "deny ") + rules.text(2);
    }

    private String argument(final String name, final Map<String, String> arguments) {
        return assertThrows(Elements.ArgumentException.class, () -> elements.prepare(name, arguments, folder))
                .argument();
    }
}
