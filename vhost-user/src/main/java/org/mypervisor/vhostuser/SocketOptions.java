package org.mypervisor.vhostuser;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/**
 * Where and how a port meets its front-end.
 *
 * @param path of the UNIX socket
 * @param listen true when we listen and the front-end connects, false for the other way round
 * @param mode permission bits of a socket that we create
 * @param owner user name for a socket that we create, or null
 * @param group group name for a socket that we create, or null
 */
public record SocketOptions(Path path, boolean listen, int mode, String owner, String group) {
    /** sun_path holds 108 bytes, the last one a zero. */
    public static final int MAX_PATH_BYTES = 107;

    /** Fails when the path does not fit a socket address, whoever listens there. */
    void checkPath() throws IOException {
        if (path.toString().getBytes(StandardCharsets.UTF_8).length > MAX_PATH_BYTES) {
            throw new IOException(
                    "socket path %s is longer than %d bytes; choose a shorter one".formatted(path, MAX_PATH_BYTES));
        }
    }
}
