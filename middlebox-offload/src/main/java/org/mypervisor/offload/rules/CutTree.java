package org.mypervisor.offload.rules;

/**
 * A built cut tree, for {@link Classifier}. Not to be changed any more.
 *
 * @param root the root's {@link Node}
 * @param nodes the children of all inner nodes
 * @param candidates positions of the rules that leaves name, ascending within each
 */
record CutTree(long root, long[] nodes, int[] candidates) {}
