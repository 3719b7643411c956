package org.mypervisor.driversim;

/**
 * What a {@link NetDriver} chooses for itself. Sizes of buffers in bytes, header included; a transmit buffer bounds
 * the longest frame.
 *
 * @param queueSize entries of each ring, a power of two unless the rings are packed
 */
public record NetOptions(int queueSize, int receiveBufferSize, int transmitBufferSize, Framing receiveFraming) {
    /** 256 entries, 2048-byte buffers each in one descriptor. */
    public static NetOptions defaults() {
        return new NetOptions(256, 2048, 2048, Framing.ONE_BUFFER);
    }

    public NetOptions withQueueSize(final int size) {
        return new NetOptions(size, receiveBufferSize, transmitBufferSize, receiveFraming);
    }

    public NetOptions withReceiveBufferSize(final int size) {
        return new NetOptions(queueSize, size, transmitBufferSize, receiveFraming);
    }

    public NetOptions withTransmitBufferSize(final int size) {
        return new NetOptions(queueSize, receiveBufferSize, size, receiveFraming);
    }

    public NetOptions withReceiveFraming(final Framing framing) {
        return new NetOptions(queueSize, receiveBufferSize, transmitBufferSize, framing);
    }
}
