package org.mypervisor.offload.rules;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

class MistakeTest {
    private static final List<String> KNOWN = List.of("ports", "paths", "middleboxes");

    @Test
    void shouldSuggestTheNearestWord() {
        assertEquals("; did you mean 'paths'?", Mistake.suggest("pahts", KNOWN));
        assertEquals("; did you mean 'middleboxes'?", Mistake.suggest("middlebox", KNOWN));
        assertEquals("", Mistake.suggest("x", KNOWN));
    }

    @Test
    void shouldNotTakeMemoryByTheSizeOfAWordThatIsFarFromAll() {
        assertEquals("", Mistake.suggest("p".repeat(12 << 20), KNOWN));
    }
}
