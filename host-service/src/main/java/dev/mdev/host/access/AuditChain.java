package dev.mdev.host.access;

import dev.mdev.core.store.StateFiles;

import org.jspecify.annotations.Nullable;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Reads the files of the audit log and checks the chain of their hashes.
///
/// The files are `audit-00000001` and so on. A line is `HASH NUMBER TEXT`: the hash is SHA-256 of
/// the hash before it, a blank, the number, a blank and the text. A file begins with the hash
/// before its first line, so that the oldest files can be deleted.
final class AuditChain {
    /// The hash before the first record of all.
    static final String BEGINNING = "0".repeat(64);

    private static final Pattern FILE = Pattern.compile("audit-[0-9]{8}");
    private static final Pattern HEADER =
            Pattern.compile("mdev-audit version=1 after=([0-9a-f]{64})");
    private static final Pattern LINE = Pattern.compile("([0-9a-f]{64}) ([0-9]{1,18}) ([ -~]*)");

    private AuditChain() {}

    /// A line of a file.
    record Entry(String hash, long number, String text) {}

    /// What a file has.
    ///
    /// @param last the hash of its last intact line, or the one that it begins with
    /// @param trouble the first place that is wrong, if any
    /// @param intactBytes the length of the lines that are right
    record Part(
            List<Entry> entries,
            String first,
            String last,
            Optional<String> trouble,
            int intactBytes) {}

    /// The names of the files, the oldest first.
    static List<String> files(StateFiles files) {
        return files.list().stream().filter(name -> FILE.matcher(name).matches()).sorted().toList();
    }

    static String nameOf(int file) {
        return "audit-%08d".formatted(file);
    }

    static String header(String after) {
        return "mdev-audit version=1 after=" + after + "\n";
    }

    static String hashOf(String before, long number, String text) {
        return Secrets.hash(before + " " + number + " " + text);
    }

    static String lineOf(String hash, long number, String text) {
        return hash + " " + number + " " + text + "\n";
    }

    /// Reads a file.
    ///
    /// @param before the last hash of the file before it; null if that is deleted
    static Part read(StateFiles files, String name, @Nullable String before, int maxBytes) {
        String all =
                new String(
                        files.read(name, maxBytes).orElse(new byte[0]),
                        StandardCharsets.ISO_8859_1);
        List<Entry> entries = new ArrayList<>();
        int end = all.indexOf('\n');
        Matcher header = HEADER.matcher(end < 0 ? all : all.substring(0, end));
        if (end < 0 || !header.matches()) {
            return new Part(
                    entries, BEGINNING, BEGINNING, Optional.of(name + " has no beginning"), 0);
        }
        String first = header.group(1);
        if (before != null && !before.equals(first)) {
            return new Part(
                    entries,
                    first,
                    first,
                    Optional.of(name + " does not continue the file before it"),
                    0);
        }
        String last = first;
        int start = end + 1;
        while (start < all.length()) {
            end = all.indexOf('\n', start);
            Matcher line = LINE.matcher(end < 0 ? "" : all.substring(start, end));
            if (!line.matches()
                    || !hashOf(last, Long.parseLong(line.group(2)), line.group(3))
                            .equals(line.group(1))) {
                String where =
                        entries.isEmpty()
                                ? "at its beginning"
                                : "after record " + entries.getLast().number();
                return new Part(
                        entries,
                        first,
                        last,
                        Optional.of(name + " is not as it was written " + where),
                        start);
            }
            last = line.group(1);
            entries.add(new Entry(last, Long.parseLong(line.group(2)), line.group(3)));
            start = end + 1;
        }
        return new Part(entries, first, last, Optional.empty(), start);
    }
}
