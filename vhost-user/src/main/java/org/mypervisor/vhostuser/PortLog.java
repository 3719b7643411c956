package org.mypervisor.vhostuser;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;

/**
 * The log lines about one port, of which its front-end can provoke any number: after {@link #BURST} lines there is one
 * a second, and how many were left out. It fills no disk and hides no other port's lines.
 */
final class PortLog {
    private static final Logger LOG = LogManager.getLogger(PortLog.class);

    /** Far more than an honest front-end with 256 rings needs. */
    static final int BURST = 600;

    private static final long NANOS_PER_LINE = 1_000_000_000;

    private final String port;
    private long credit = BURST * NANOS_PER_LINE;
    private long lastNanos = System.nanoTime();
    private long leftOut;
    private String lastHint = "";

    PortLog(final String port) {
        this.port = port;
    }

    void info(final String text, final Object... values) {
        log(Level.INFO, text, values);
    }

    void warn(final String text, final Object... values) {
        log(Level.WARN, text, values);
    }

    /** An INFO line of this port, unless it is the same as last time; an empty one says that there is no more to say. */
    synchronized void hint(final String hint) {
        if (!hint.equals(lastHint)) {
            lastHint = hint;
            if (!hint.isEmpty()) {
                info("port {}: {}", port, hint);
            }
        }
    }

    private void log(final Level level, final String text, final Object... values) {
        final long missed = missedIfAllowed(System.nanoTime());
        if (missed > 0) {
            LOG.warn("port {}: {} lines were left out", port, missed);
        }
        if (missed >= 0) {
            LOG.log(level, text, values);
        }
    }

    /** Lines left out since the last one, or -1 when this one has to be left out, too. */
    synchronized long missedIfAllowed(final long nanos) {
        credit = Math.min(credit + nanos - lastNanos, BURST * NANOS_PER_LINE);
        lastNanos = nanos;
        if (credit < NANOS_PER_LINE) {
            leftOut++;
            return -1;
        }
        credit -= NANOS_PER_LINE;
        final long missed = leftOut;
        leftOut = 0;
        return missed;
    }
}
