package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import org.mypervisor.virtqueue.BufferList;
import org.mypervisor.virtqueue.BufferQueue;
import org.mypervisor.virtqueue.RawMemory;

/**
 * The frames that the kernel or the NIC put into an XDP socket's memory. Each one's memory goes back through the fill ring
 * when it was taken.
 */
final class XdpReceiver extends BufferQueue {
    private static final int MSG_DONTWAIT = 0x40;

    private final XdpSocket socket;
    private final XdpRing ring;
    private final XdpRing fill;
    private final long memory;
    private final XdpSender sender;
    private final BufferList list = new BufferList(1);
    private int cursor;
    private int completed;

    /** @param sender of the same socket, which may have frames left that wait for the kernel */
    XdpReceiver(final XdpSocket socket, final XdpSender sender) {
        super(XdpSocket.RECEIVE_FRAMES, 0);
        this.socket = socket;
        this.ring = socket.receiveRing();
        this.fill = socket.fillRing();
        this.memory = socket.memory();
        this.sender = sender;
    }

    @Override
    public int available(final int most) {
        sender.goOn();
        return Math.min(ring.available(most), most);
    }

    @Override
    public BufferList newChain() {
        cursor = 0;
        list.clear();
        return list;
    }

    /** Before each frame there is room that the program's own header would have: the virtio-net header, which nobody reads. */
    @Override
    public int append() {
        if (cursor >= ring.available(cursor + 1)) {
            return NONE;
        }
        final long entry = ring.entry(cursor);
        cursor++;
        final int offset = (int) RawMemory.le64(entry + XdpSocket.ADDRESS_OFFSET);
        final int length = (int) RawMemory.le32(entry + XdpSocket.LENGTH_OFFSET);
        list.addPiece(memory + offset - netHdrSize(), length + netHdrSize());
        return offset;
    }

    /** The kernel finds the begin of the memory that a frame lies in. */
    @Override
    public void complete(final int token, final int bytesWritten) {
        RawMemory.putLe64(fill.entry(0), token);
        fill.advance();
        ring.advance();
        completed++;
    }

    @Override
    public void publish() {
        if (completed == 0) {
            return;
        }
        completed = 0;
        ring.publish();
        fill.publish();
        if (fill.needsWakeup()) {
            LIBC.recv(socket.fd(), 0, 0, MSG_DONTWAIT);
        }
    }

    @Override
    public boolean enableKicks() {
        return available(1) != 0 || sender.isWaiting();
    }
}
