package org.mypervisor.driversim;

/**
 * A frame the device delivered.
 *
 * @param header the virtio-net header as written by the device, 10 or 12 bytes
 * @param frame Ethernet frame without FCS
 * @param buffers receive buffers it took
 */
public record ReceivedFrame(byte[] header, byte[] frame, int buffers) {}
