package org.mypervisor.offload.host;

/** Who counts frames that the kernel did not take. */
public interface Losses {
    /**
     * A frame that is counted as sent by now was not. Worker thread.
     *
     * @param bytes of the frame
     * @param gso whether it was left to the kernel to cut it
     * @param whole false for a segment, of a frame that counts as sent all the same
     */
    void lost(int bytes, boolean gso, boolean whole);
}
