package org.mypervisor.vhostuser;

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
}
