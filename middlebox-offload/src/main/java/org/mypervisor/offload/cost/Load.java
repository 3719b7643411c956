package org.mypervisor.offload.cost;

/**
 * Traffic that middleboxes meet.
 *
 * @param packetsPerSecond offered, before any is denied
 * @param deniedShare of the offered packets, those that the rules deny
 * @param frameBytes without FCS
 * @param chain middleboxes one behind the other, each with the same rules
 */
public record Load(double packetsPerSecond, double deniedShare, double frameBytes, int chain) {
    public Load {
        // Written so that NaN fails too.
        if (!(packetsPerSecond > 0 && packetsPerSecond < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("packetsPerSecond=" + packetsPerSecond + " must be above 0");
        }
        if (!(deniedShare >= 0 && deniedShare <= 1)) {
            throw new IllegalArgumentException("deniedShare=" + deniedShare + " must be from 0 to 1");
        }
        if (!(frameBytes > 0 && frameBytes < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("frameBytes=" + frameBytes + " must be above 0");
        }
        if (chain < 1) {
            throw new IllegalArgumentException("chain=" + chain + " must be at least 1");
        }
    }

    double allowedShare() {
        return 1 - deniedShare;
    }
}
