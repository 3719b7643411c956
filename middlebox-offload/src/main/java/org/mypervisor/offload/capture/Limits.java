package org.mypervisor.offload.capture;

/**
 * How much of what it is sent a capture file gets.
 *
 * @param bytes no frame is added once the file has so many; 0 for any number
 * @param seconds from the start of the port on; 0 for any number
 */
public record Limits(long bytes, int seconds) {
    public static final Limits NONE = new Limits(0, 0);

    public boolean exist() {
        return bytes != 0 || seconds != 0;
    }
}
