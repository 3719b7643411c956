package org.mypervisor.offload.rules;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/**
 * Reads a file that a user wrote, rule file or configuration: bounded in size, strictly UTF-8, a byte order mark
 * dropped. Stateless; control threads only.
 */
public final class SourceText {
    /** Bytes; about 300,000 rules. */
    public static final int MAX_SIZE = 16 << 20;

    private static final int BYTE_ORDER_MARK = 0xFEFF;

    private SourceText() {}

    /**
     * The file's text.
     *
     * @throws RuleFileException with one mistake, whose place is named after the file as given
     */
    public static String read(final Path file) throws RuleFileException {
        final Place start = new Place(file.toString(), 1, 1);
        try (var in = Files.newInputStream(file)) {
            final byte[] bytes = in.readNBytes(MAX_SIZE + 1);
            if (bytes.length > MAX_SIZE) {
                throw refusal(start, "the file is larger than " + (MAX_SIZE >> 20) + " MiB; split or shorten it");
            }
            return decode(file.toString(), bytes);
        } catch (final IOException e) {
            throw refusal(start, "cannot be read: " + reason(file, e));
        }
    }

    /** What is behind an input error, in the user's words. */
    private static String reason(final Path file, final IOException e) {
        if (e instanceof NoSuchFileException) {
            return "there is no such file (" + file.toAbsolutePath() + ")";
        }
        if (e instanceof AccessDeniedException) {
            return "permission denied; make it readable for the user that runs us";
        }
        return Files.isDirectory(file) ? "it is a folder; name a file" : String.valueOf(e.getMessage());
    }

    /** Text of these bytes; the source is the name to print. */
    public static String decode(final String source, final byte[] bytes) throws RuleFileException {
        final ByteBuffer in = ByteBuffer.wrap(bytes);
        final CharBuffer out = CharBuffer.allocate(bytes.length);
        final CoderResult result = StandardCharsets.UTF_8.newDecoder().decode(in, out, true);
        out.flip();
        final String text = out.toString();
        final boolean marked = !text.isEmpty() && text.charAt(0) == BYTE_ORDER_MARK;
        if (result.isError()) {
            final int lineStart = text.lastIndexOf('\n') + 1;
            final int line = 1 + (int) text.chars().filter(c -> c == '\n').count();
            final int column = text.length() - lineStart + 1 - (marked && lineStart == 0 ? 1 : 0);
            final String value = String.format("0x%02x", bytes[in.position()]);
            throw refusal(
                    new Place(source, line, column), "byte " + value + " is not UTF-8 text; save the file as UTF-8");
        }
        return marked ? text.substring(1) : text;
    }

    private static RuleFileException refusal(final Place place, final String text) {
        final Mistakes mistakes = new Mistakes();
        mistakes.add(place, text);
        return new RuleFileException(mistakes.list());
    }
}
