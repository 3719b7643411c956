package org.mypervisor.offload.capture;

import static org.mypervisor.vhostuser.Libc.LIBC;
import static org.mypervisor.vhostuser.Libc.POSIX_CALLS;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import jnr.constants.platform.Errno;
import jnr.constants.platform.OpenFlags;
import org.mypervisor.vhostuser.Libc;

/**
 * What a {@link CaptureWriter} writes to: a regular file, a FIFO that somebody reads, or a character device such as
 * {@code /dev/null}.
 *
 * <p>Opened and closed by a control thread; in between one other thread writes.
 */
final class CaptureOutput {
    private static final int S_IFMT = 0170000;
    private static final int S_IFIFO = 0010000;
    private static final int S_IFCHR = 0020000;
    private static final int S_IFREG = 0100000;

    private static final int NONE = -1;

    private final Path file;
    private final boolean existed;
    private final boolean regular;
    private final FileChannel channel;

    /** @throws IOException when it cannot be written; the message says why */
    CaptureOutput(final Path file) throws IOException {
        this.file = file;
        int reader = NONE;
        try {
            existed = Files.exists(file);
            reader = existed ? expectFileOrReader() : NONE;
            channel = FileChannel.open(file, StandardOpenOption.WRITE, StandardOpenOption.CREATE);
            regular = Files.isRegularFile(file);
        } catch (final NoSuchFileException e) {
            throw new IOException(message("its folder is not there"));
        } catch (final IOException e) {
            throw new IOException(message(CaptureException.reason(e)));
        } finally {
            if (reader != NONE) {
                LIBC.close(reader);
            }
        }
    }

    /** To open a FIFO that nobody reads would wait for whoever does; returns it opened, or NONE if it is none. */
    private int expectFileOrReader() throws IOException {
        final int kind = (int) Files.getAttribute(file, "unix:mode") & S_IFMT;
        if (kind == S_IFREG || kind == S_IFCHR) {
            return NONE;
        }
        if (kind != S_IFIFO) {
            throw new IOException("it is neither a file nor a FIFO; name another one");
        }
        final int fd = POSIX_CALLS.open(
                file.toString(), OpenFlags.O_WRONLY.intValue() | OpenFlags.O_NONBLOCK.intValue() | Libc.O_CLOEXEC, 0);
        if (fd < 0) {
            throw new IOException(
                    Libc.lastErrno() == Errno.ENXIO.intValue()
                            ? "nobody reads this FIFO; start its reader first"
                            : Libc.lastError());
        }
        return fd;
    }

    /** A whole message, for this reason. */
    String message(final String why) {
        return "capture " + file + ": cannot be written: " + why;
    }

    /** Begins it anew. */
    void empty() throws IOException {
        if (regular) {
            channel.truncate(0);
        }
    }

    /** Writes all of it, or none as far as possible: half a record at the end would make the file one that is cut short. */
    void write(final ByteBuffer records) throws IOException {
        final long before = regular ? channel.position() : 0;
        try {
            while (records.hasRemaining()) {
                channel.write(records);
            }
        } catch (final IOException e) {
            if (regular && channel.isOpen()) {
                channel.truncate(before);
            }
            throw e;
        }
    }

    void close() throws IOException {
        channel.close();
    }

    /** Closes it as it was before. Instead of {@link #empty}. */
    void leave() throws IOException {
        channel.close();
        if (!existed) {
            Files.deleteIfExists(file);
        }
    }
}
