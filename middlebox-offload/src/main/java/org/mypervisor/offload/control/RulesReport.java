package org.mypervisor.offload.control;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.util.List;

/** How often each rule was the first to match, since the back-end started or the rules were last read. */
public record RulesReport(List<FilterStats> filters) {
    /** @param rules in their order; the default comes last */
    public record FilterStats(String path, List<RuleStats> rules) {}

    public record RuleStats(String rule, long hits) {}

    public String toJson() {
        return Json.write(this);
    }

    /** @throws JsonProcessingException when the text is not a report */
    public static RulesReport fromJson(final String json) throws JsonProcessingException {
        return Json.read(json, RulesReport.class);
    }
}
