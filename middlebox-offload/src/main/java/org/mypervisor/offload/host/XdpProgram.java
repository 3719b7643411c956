package org.mypervisor.offload.host;

import static org.mypervisor.vhostuser.Libc.LIBC;

import java.nio.charset.StandardCharsets;
import org.mypervisor.vhostuser.Libc;
import org.mypervisor.virtqueue.RawMemory;

/**
 * The program that an interface runs for each frame: hands it to the XDP socket of the queue on which it arrived, or to the host
 * if that queue has none. It is attached by a link, so that it goes when our descriptors do, however we end.
 *
 * <p>Made, used and closed by one control thread.
 *
 * @see <a href="https://docs.kernel.org/bpf/standardization/instruction-set.html">the instructions</a>
 */
final class XdpProgram {
    private static final int SYS_BPF = 321;
    private static final int BPF_MAP_CREATE = 0;
    private static final int BPF_MAP_UPDATE_ELEM = 2;
    private static final int BPF_PROG_LOAD = 5;
    private static final int BPF_LINK_CREATE = 28;

    private static final int BPF_MAP_TYPE_XSKMAP = 17;
    private static final int BPF_PROG_TYPE_XDP = 6;

    /** The attach type of links. */
    private static final int BPF_XDP = 37;

    /** union bpf_attr, as much of it as is used here. */
    private static final int ATTRIBUTES_SIZE = 128;

    private static final int MAP_NAME_OFFSET = 28;
    private static final int PROGRAM_NAME_OFFSET = 48;
    private static final String NAME = "mypervisor";
    private static final String LICENSE = "Apache-2.0";

    /** Of a link: run by the driver, or by the kernel when the driver has given it the frame. */
    static final int XDP_FLAGS_SKB_MODE = 2;

    static final int XDP_FLAGS_DRV_MODE = 4;

    private static final int BPF_LDX_W = 0x61;
    private static final int BPF_LD_IMM64 = 0x18;
    private static final int BPF_MOV64_IMM = 0xb7;
    private static final int BPF_CALL = 0x85;
    private static final int BPF_EXIT = 0x95;
    private static final int BPF_PSEUDO_MAP_FD = 1;
    private static final int BPF_FUNC_REDIRECT_MAP = 51;

    /** In struct xdp_md. */
    private static final int RX_QUEUE_INDEX_OFFSET = 16;

    private static final int XDP_PASS = 2;

    private static final int NONE = -1;

    private int map = NONE;
    private int program = NONE;
    private int link = NONE;

    /**
     * Loads it; attaches nothing.
     *
     * @param queues of the interface, as far as they have sockets
     * @throws XdpRefusedException saying what the kernel refused and why
     */
    void load(final int queues) throws XdpRefusedException {
        final long attributes = RawMemory.allocate(ATTRIBUTES_SIZE);
        RawMemory.putLe32(attributes, BPF_MAP_TYPE_XSKMAP);
        RawMemory.putLe32(attributes + 4, Integer.BYTES);
        RawMemory.putLe32(attributes + 8, Integer.BYTES);
        RawMemory.putLe32(attributes + 12, queues);
        putText(attributes + MAP_NAME_OFFSET, NAME);
        map = bpf(BPF_MAP_CREATE, attributes);
        if (map < 0) {
            throw new XdpRefusedException("no XSKMAP: " + Libc.lastError());
        }
        final long[] instructions = instructions(map);
        final int codeSize = instructions.length * Long.BYTES;
        final long code = RawMemory.allocate(codeSize);
        for (int i = 0; i < instructions.length; i++) {
            RawMemory.putLe64(code + (long) i * Long.BYTES, instructions[i]);
        }
        final long license = RawMemory.allocate(LICENSE.length() + 1);
        putText(license, LICENSE);
        final long load = RawMemory.allocate(ATTRIBUTES_SIZE);
        RawMemory.putLe32(load, BPF_PROG_TYPE_XDP);
        RawMemory.putLe32(load + 4, instructions.length);
        RawMemory.putLe64(load + 8, code);
        RawMemory.putLe64(load + 16, license);
        putText(load + PROGRAM_NAME_OFFSET, NAME);
        program = bpf(BPF_PROG_LOAD, load);
        RawMemory.free(license, LICENSE.length() + 1);
        RawMemory.free(code, codeSize);
        if (program < 0) {
            throw new XdpRefusedException("the XDP program cannot be loaded: " + Libc.lastError());
        }
    }

    /** {@code return bpf_redirect_map(map, context->rx_queue_index, XDP_PASS);} */
    static long[] instructions(final int map) {
        return new long[] {
            instruction(BPF_LDX_W, 2, 1, RX_QUEUE_INDEX_OFFSET, 0),
            instruction(BPF_LD_IMM64, 1, BPF_PSEUDO_MAP_FD, 0, map),
            0,
            instruction(BPF_MOV64_IMM, 3, 0, 0, XDP_PASS),
            instruction(BPF_CALL, 0, 0, 0, BPF_FUNC_REDIRECT_MAP),
            instruction(BPF_EXIT, 0, 0, 0, 0)
        };
    }

    /** struct bpf_insn { u8 code; u8 dst_reg:4, src_reg:4; s16 off; s32 imm; } */
    private static long instruction(
            final int code, final int destination, final int source, final int offset, final int immediate) {
        return code | destination << 8 | source << 12 | offset << 16 | (long) immediate << 32;
    }

    /**
     * Lets an interface run it.
     *
     * @param mode {@link #XDP_FLAGS_DRV_MODE} or {@link #XDP_FLAGS_SKB_MODE}
     * @return 0, or the errno that says why not
     */
    int attach(final int interfaceIndex, final int mode) {
        final long attributes = RawMemory.allocate(ATTRIBUTES_SIZE);
        RawMemory.putLe32(attributes, program);
        RawMemory.putLe32(attributes + 4, interfaceIndex);
        RawMemory.putLe32(attributes + 8, BPF_XDP);
        RawMemory.putLe32(attributes + 12, mode);
        link = bpf(BPF_LINK_CREATE, attributes);
        return link < 0 ? Libc.lastErrno() : 0;
    }

    /**
     * From now on frames of this queue go to the socket, which is bound.
     *
     * @throws XdpRefusedException when the kernel refuses
     */
    void redirect(final int queue, final int socket) throws XdpRefusedException {
        final long pair = RawMemory.allocate(2 * Integer.BYTES);
        RawMemory.putLe32(pair, queue);
        RawMemory.putLe32(pair + Integer.BYTES, socket);
        final long attributes = RawMemory.allocate(ATTRIBUTES_SIZE);
        RawMemory.putLe32(attributes, map);
        RawMemory.putLe64(attributes + 8, pair);
        RawMemory.putLe64(attributes + 16, pair + Integer.BYTES);
        final int result = bpf(BPF_MAP_UPDATE_ELEM, attributes);
        RawMemory.free(pair, 2 * Integer.BYTES);
        if (result != 0) {
            throw new XdpRefusedException("queue " + queue + " cannot be redirected: " + Libc.lastError());
        }
    }

    /** Detaches and forgets it. */
    void close() {
        for (final int fd : new int[] {link, program, map}) {
            if (fd >= 0) {
                LIBC.close(fd);
            }
        }
        link = NONE;
        program = NONE;
        map = NONE;
    }

    /** Frees the attributes. What it opens is closed on exec. */
    private static int bpf(final int command, final long attributes) {
        final int result = (int) LIBC.syscall(SYS_BPF, command, attributes, ATTRIBUTES_SIZE);
        RawMemory.free(attributes, ATTRIBUTES_SIZE);
        return result;
    }

    private static void putText(final long address, final String text) {
        final byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
        for (int i = 0; i < bytes.length; i++) {
            RawMemory.putU8(address + i, bytes[i]);
        }
    }
}
