package org.mypervisor.offload.cost;

/**
 * What one packet makes host and guests do: the terms of the model, each multiplied by its coefficient in
 * {@link PolicyCost.Cpu}.
 *
 * @param judged times that it is judged, in the host or in a guest
 * @param allowed times that it is carried on
 * @param bytes that are copied for it
 * @param interrupts of middlebox guests that it causes
 * @param middleboxSeconds that pass between it and the next one, for every middlebox
 */
public record Work(double judged, double allowed, double bytes, double interrupts, double middleboxSeconds) {
    public static Work of(final Policy policy, final Load load, final PolicyCost.Interrupts interrupts) {
        return policy.work(load, interrupts);
    }

    /** In the order of {@link PolicyCost.Cpu#of}. */
    public double[] terms() {
        return new double[] {judged, allowed, bytes, interrupts, middleboxSeconds};
    }
}
