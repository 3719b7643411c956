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

    private String argument(final String name, final Map<String, String> arguments) {
        return assertThrows(Elements.ArgumentException.class, () -> elements.prepare(name, arguments, folder))
                .argument();
    }
}
