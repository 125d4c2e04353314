package dev.mdev.core.store;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// An append-only file of lines, and the reading of it after a crash.
///
/// A line is `checksum number text`: a CRC-32C of the rest, a number that goes up by one, and text.
/// The first line of a file is [#HEADER]. The file is in one of three states:
///
/// - *whole*: every line is as it was written;
/// - *torn*: the last line has no end. It was being written when the process died, before it was
///   reported as written, and it is dropped;
/// - *damaged*: any other difference, in the middle, as a gap in the numbers, or as a last line
///   with a wrong checksum: a host that lost power may leave that, and so may a disk that forgets.
///   The intact lines are still returned, and the file is kept aside. The owner must handle missing
///   lines.
///
/// Not safe for use by several threads.
public final class Journal {
    /// The text of a file's first line; the number is the format's version.
    static final String HEADER = "mdev-journal version=1";

    /// The suffix of the copy of a damaged file.
    public static final String DAMAGED = ".damaged";

    /// The maximum size of a file that is read or written.
    public static final int MAX_BYTES = 64 << 20;

    private final StateFiles files;
    private final String name;
    private final int maxBytes;
    private long nextNumber;
    private long sizeBytes;

    /// Set when the file may have bytes that belong to no line: then nothing must be appended.
    private boolean mustRewrite = true;

    /// Set when the file is damaged, until a copy of it is made.
    private boolean mustCopy;

    private Journal(StateFiles files, String name, int maxBytes) {
        this.files = files;
        this.name = name;
        this.maxBytes = maxBytes;
    }

    /// The content of a file.
    ///
    /// @param texts the texts of the intact lines, oldest first
    /// @param torn whether the last line was dropped because it had no end
    /// @param damage the damage of the file, if any
    public record Content(List<String> texts, boolean torn, Optional<String> damage) {
        public Content {
            texts = List.copyOf(texts);
        }
    }

    /// Opens a journal. The file stays unchanged until [#rewrite], which must come before the first
    /// append.
    public static Journal open(StateFiles files, String name) {
        return open(files, name, MAX_BYTES);
    }

    /// A journal of at most `maxBytes`.
    public static Journal open(StateFiles files, String name, int maxBytes) {
        return new Journal(files, name, maxBytes);
    }

    /// Reads the file. If it is damaged, [#rewrite] keeps a copy of it.
    ///
    /// @throws MdevException the files' error; EFBIG if the file is too large, EOPNOTSUPP if a
    ///   newer version of this program wrote it
    public Content read() {
        Content content = parse(new String(bytes(), StandardCharsets.ISO_8859_1));
        mustCopy = content.damage().isPresent();
        return content;
    }

    /// Makes [#rewrite] keep a copy of the file, because its owner cannot interpret it.
    public void keepCopy() {
        mustCopy = true;
    }

    private byte[] bytes() {
        return files.read(name, maxBytes).orElse(new byte[0]);
    }

    private Content parse(String all) {
        List<String> texts = new ArrayList<>();
        String damage = null;
        long expected = -1;
        int start = 0;
        int lineNumber = 0;
        while (start < all.length()) {
            int end = all.indexOf('\n', start);
            if (end < 0) {
                return new Content(texts, true, Optional.ofNullable(damage));
            }
            lineNumber++;
            Line line = Line.parse(all.substring(start, end));
            start = end + 1;
            if (line == null || (expected >= 0 && line.number != expected)) {
                damage = damage == null ? "line %d of %s".formatted(lineNumber, name) : damage;
            }
            if (line != null) {
                expected = line.number + 1;
                nextNumber = Math.max(nextNumber, expected);
                if (lineNumber > 1) {
                    texts.add(line.text);
                } else if (!line.text.equals(HEADER)) {
                    throw new MdevException(
                            Errno.EOPNOTSUPP,
                            "file=%s begins with %s, not with %s"
                                    .formatted(name, line.text, HEADER));
                }
            }
        }
        return new Content(texts, false, Optional.ofNullable(damage));
    }

    private record Line(long number, String text) {
        private static final Pattern FORM =
                Pattern.compile("([0-9a-f]{8}) (([0-9]{1,18}) ([ -~]*))");

        /// @return the line, or null if it is invalid
        static @Nullable Line parse(String line) {
            Matcher parts = FORM.matcher(line);
            return parts.matches() && Checksum.of(parts.group(2)).equals(parts.group(1))
                    ? new Line(Long.parseLong(parts.group(3)), parts.group(4))
                    : null;
        }
    }

    /// Replaces the file's content atomically: the header and these texts.
    ///
    /// @throws StoreException EFBIG if the texts are too large; otherwise the files' error. The
    ///   content is then the old or the new one; if it is certainly the old one, appends that were
    ///   possible before still are
    public void rewrite(List<String> texts) {
        StringBuilder all = new StringBuilder();
        long number = nextNumber;
        all.append(lineOf(number++, HEADER));
        for (String text : texts) {
            all.append(lineOf(number++, text));
            requireRoom(all.length());
        }
        byte[] bytes = all.toString().getBytes(StandardCharsets.ISO_8859_1);
        if (mustCopy) {
            files.replace(name + DAMAGED, bytes());
            mustCopy = false;
        }
        replace(bytes);
        nextNumber = number;
        sizeBytes = bytes.length;
        mustRewrite = false;
    }

    private void replace(byte[] bytes) {
        String next = name + StateFiles.TEMPORARY;
        try {
            files.write(next, bytes);
            mustRewrite = true;
            files.rename(next, name);
        } catch (StoreException e) {
            dropQuietly(next, e);
            throw e;
        }
    }

    /// A failed write leaves bytes that take up room for others.
    private void dropQuietly(String file, StoreException because) {
        try {
            files.delete(file);
        } catch (StoreException e) {
            because.addSuppressed(e);
        }
    }

    private void requireRoom(long wantedBytes) {
        if (wantedBytes > maxBytes) {
            throw new StoreException(
                    Errno.EFBIG,
                    "%s is full: its current content needs more than %d bytes"
                            .formatted(name, maxBytes));
        }
    }

    /// Whether the file must be rewritten before the next append: at the start, and after a
    /// failure.
    public boolean mustRewrite() {
        return mustRewrite;
    }

    /// Adds a line.
    ///
    /// @param text ASCII, without an end-of-line character
    /// @param durable whether it, and all lines before it, must survive a crash of the host
    /// @throws StoreException EFBIG if the file would be too large, and is unchanged; otherwise the
    ///   files' error. The line is then absent, unless even its removal failed: then its presence
    ///   is unknown until the file is rewritten
    public void append(String text, boolean durable) {
        if (mustRewrite) {
            throw new IllegalStateException("rewrite first: journal=" + name);
        }
        byte[] bytes = lineOf(nextNumber, text).getBytes(StandardCharsets.ISO_8859_1);
        requireRoom(sizeBytes + bytes.length);
        mustRewrite = true;
        try {
            files.append(name, bytes, durable);
        } catch (StoreException e) {
            takeBack(e);
            throw e;
        }
        mustRewrite = false;
        nextNumber++;
        sizeBytes += bytes.length;
    }

    /// An unreported line, even if intact, must not be found after a restart. The state of the
    /// lines before it on the disk is unknown: the file must be rewritten in any case.
    private void takeBack(StoreException because) {
        try {
            files.truncate(name, sizeBytes);
        } catch (StoreException e) {
            because.addSuppressed(e);
        }
    }

    private static String lineOf(long number, String text) {
        if (text.chars().anyMatch(c -> c < 0x20 || c > 0x7e)) {
            throw new MdevException(Errno.EINVAL, "not one line of ASCII: " + text);
        }
        String rest = number + " " + text;
        return Checksum.of(rest) + " " + rest + "\n";
    }

    /// The maximum size of the file.
    public int maxBytes() {
        return maxBytes;
    }

    /// The size of the file.
    public long sizeBytes() {
        return sizeBytes;
    }
}
