package org.mypervisor.offload.cost;

/**
 * What one packet makes host and guests do: the terms of the model, each multiplied by its coefficient in
 * {@link PolicyCost.Cpu}.
 *
 * @param judged times that it is judged, in the host or in a guest
 * @param allowed times that it is carried on
 * @param bytes that are copied for it
 * @param wakeUps of whoever works for it and would otherwise sleep
 * @param middleboxSeconds that pass between it and the next one, for every middlebox that is awake
 */
public record Work(double judged, double allowed, double bytes, double wakeUps, double middleboxSeconds) {
    /** @param wakeUpSpacingS as in {@link PolicyCost.Cpu} */
    public static Work of(final Policy policy, final Load load, final double wakeUpSpacingS) {
        return policy.work(load, wakeUpSpacingS);
    }

    /** In the order of {@link PolicyCost.Cpu#of}. */
    public double[] terms() {
        return new double[] {judged, allowed, bytes, wakeUps, middleboxSeconds};
    }
}
