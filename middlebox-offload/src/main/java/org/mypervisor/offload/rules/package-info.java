/**
 * The rule language of {@code filter(rules=FILE)}: from text to a compiled set that judges one frame without allocating.
 *
 * <p>{@link org.mypervisor.offload.rules.RuleFile} reads text and makes {@link org.mypervisor.offload.rules.Rule}s, a
 * {@link org.mypervisor.offload.rules.RuleSet} is their compiled form, and
 * {@link org.mypervisor.offload.rules.Headers} reads a frame's headers as far as a rule can ask. Only the last two are
 * on the way of a packet.
 */
package org.mypervisor.offload.rules;
