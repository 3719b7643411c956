/**
 * The rule language of {@code filter(rules=FILE)}: from text to a compiled set that judges frames without allocating.
 *
 * <p>A {@link org.mypervisor.offload.rules.RuleFormat} reads text and makes {@link org.mypervisor.offload.rules.Rule}s, a
 * {@link org.mypervisor.offload.rules.RuleSet} is their compiled form,
 * {@link org.mypervisor.offload.rules.Headers} reads a frame's headers as far as a rule can ask, and
 * {@link org.mypervisor.offload.rules.RuleLookup} finds the rules for a burst. Only the last three, and what they look
 * rules up in, are on the way of a packet: {@code Keys}, {@code Classifier} with {@code Node}, {@code Rows} and
 * {@code PortLists}, and {@code EtherTypes}. {@code CutTreeBuilder} makes a classifier's tree out of {@code Box}es.
 */
package org.mypervisor.offload.rules;
