package org.mypervisor.offload.gso;

import org.mypervisor.virtqueue.RawMemory;

/** A block of memory outside the heap, as the classes under test see frames and headers. */
final class PrivateMemory {
    private final long address;
    private final int size;

    PrivateMemory(final int size) {
        this.size = size;
        address = RawMemory.allocate(size);
    }

    long address() {
        return address;
    }

    void put(final int offset, final byte[] bytes) {
        for (int i = 0; i < bytes.length; i++) {
            RawMemory.putU8(address + offset + i, bytes[i]);
        }
    }

    void fill(final int value) {
        for (int i = 0; i < size; i++) {
            RawMemory.putU8(address + i, value);
        }
    }

    byte[] get(final int offset, final int length) {
        return bytes(address + offset, length);
    }

    static byte[] bytes(final long from, final int length) {
        final byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) RawMemory.u8(from + i);
        }
        return bytes;
    }
}
