package org.mypervisor.driversim;

/**
 * The fast side of a {@link NetDriver}: transmits one prepared frame over and over and counts what arrives, in bursts,
 * without interrupts and without allocating on the Java heap. Every transmit buffer is written once, here; the same
 * driver must not transmit other frames meanwhile. One thread at a time per driver; two pumps on two drivers may run in
 * two threads.
 */
public final class NetPump {
    private static final int NUM_BUFFERS = 10;

    private final NetDriver driver;
    private final GuestMemory memory;
    private final DriverQueue receiveq;
    private final DriverQueue transmitq;
    private final int packetSize;
    private int buffersLeft;
    private long transmitted;
    private long completed;
    private long received;
    private long receivedBytes;

    /** As {@link #NetPump(NetDriver, byte[], byte[])}, with a zero header. */
    public NetPump(final NetDriver driver, final byte[] frame) {
        this(driver, new byte[driver.headerSize()], frame);
    }

    /**
     * Writes header and frame into all transmit buffers and turns interrupts off.
     *
     * @param driver started, receive buffers posted with {@link Framing#ONE_BUFFER}
     */
    public NetPump(final NetDriver driver, final byte[] header, final byte[] frame) {
        this.driver = driver;
        memory = driver.memory();
        receiveq = driver.receiveq();
        transmitq = driver.transmitq();
        packetSize = header.length + frame.length;
        if (packetSize > driver.options().transmitBufferSize()) {
            throw new IllegalArgumentException(packetSize + " bytes exceed the transmit buffer");
        }
        for (int head = 0; head < driver.options().queueSize(); head++) {
            memory.write(driver.transmitBufferGpa(head), header);
            memory.write(driver.transmitBufferGpa(head) + header.length, frame);
        }
        receiveq.disableInterrupts();
        transmitq.disableInterrupts();
    }

    /** One turn of both directions; returns frames transmitted plus frames received. */
    public int pump(final int burst) {
        return transmitBurst(burst) + receiveBurst(burst);
    }

    /** Collects what was transmitted, then makes up to {@code burst} frames available; returns how many. */
    public int transmitBurst(final int burst) {
        while (transmitq.nextUsed()) {
            completed++;
        }
        int added = 0;
        while (added < burst && transmitq.freeDescriptors() > 0) {
            transmitq.addOne(driver.transmitBufferGpa(transmitq.nextHead()), packetSize, false);
            added++;
        }
        if (added > 0) {
            transmitq.publishAndKick();
            transmitted += added;
        }
        return added;
    }

    /** Takes up to {@code burst} used buffers and posts them again; returns the frames that ended in them. */
    public int receiveBurst(final int burst) {
        int buffers = 0;
        int frames = 0;
        while (buffers < burst && receiveq.nextUsed()) {
            buffers++;
            receivedBytes += receiveq.usedLength();
            if (buffersLeft == 0) {
                receivedBytes -= driver.headerSize();
                buffersLeft = driver.mergeable()
                        ? memory.le16(driver.receiveBufferGpa(receiveq.usedHead()) + NUM_BUFFERS)
                        : 1;
            }
            if (--buffersLeft == 0) {
                frames++;
            }
            receiveq.addOne(
                    driver.receiveBufferGpa(receiveq.nextHead()),
                    driver.options().receiveBufferSize(),
                    true);
        }
        if (buffers > 0) {
            receiveq.publishAndKick();
            received += frames;
        }
        return frames;
    }

    /** Frames made available so far. */
    public long transmitted() {
        return transmitted;
    }

    /** Frames the device has given back so far. */
    public long completed() {
        return completed;
    }

    public long received() {
        return received;
    }

    /** Bytes of received frames, without headers. */
    public long receivedBytes() {
        return receivedBytes;
    }
}
