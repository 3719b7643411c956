/**
 * The rule language of {@code filter(rules=FILE)}: from text to a compiled set that judges one frame without allocating.
 *
 * <p>A {@link org.mypervisor.offload.rules.RuleFormat} reads text and makes {@link org.mypervisor.offload.rules.Rule}s, a
 * {@link org.mypervisor.offload.rules.RuleSet} is their compiled form, and
 * {@link org.mypervisor.offload.rules.Headers} reads a frame's headers as far as a rule can ask. Only the last two, and
 * what a rule set looks rules up in, are on the way of a packet: {@code Classifier} with {@code Node}, {@code Rows},
 * {@code PortLists} and {@code EtherTypes}. {@code CutTreeBuilder} makes a classifier's tree out of {@code Box}es.
 */
package org.mypervisor.offload.rules;
