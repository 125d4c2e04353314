package dev.mdev.core.store;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// A flat directory of small files, with the few operations that can survive a crash.
///
/// An operation that returned is permanent, unless stated otherwise. An operation that throws, or
/// that the process died in, has happened or not; [#append] and [#write] may have happened in part.
/// Any thread may call all methods. They throw [StoreException] if the system fails: ENOSPC,
/// EDQUOT, EACCES or EROFS if that is the reason, otherwise EIO; and [MdevException] ESHUTDOWN
/// after [#close].
public interface StateFiles extends AutoCloseable {
    /// The suffix of the temporary file of [#replace].
    String TEMPORARY = ".tmp";

    /// The maximum number of names of [#list].
    int MAX_NAMES = 1 << 16;

    /// The names of the files and other entries, in no order. An entry whose name [#checkName]
    /// refuses has an alias: only [#read] and [#delete] accept it.
    ///
    /// @throws StoreException EFBIG for more than [#MAX_NAMES] entries
    List<String> list();

    /// The content of a file, or nothing if it is absent.
    ///
    /// @throws StoreException EFBIG if it is larger than `maxBytes`; EINVAL if it is not a file, or
    ///   the name is an alias
    Optional<byte[]> read(String name, int maxBytes);

    /// Creates a file with this content, or overwrites its content.
    void write(String name, byte[] content);

    /// Appends bytes to a file, and creates the file if it is absent.
    ///
    /// @param durable whether the file, including all earlier bytes, must survive a crash of the
    ///   host; otherwise it survives a crash of the process
    void append(String name, byte[] bytes, boolean durable);

    /// Truncates a file that is longer than `sizeBytes`; this is durable.
    void truncate(String name, long sizeBytes);

    /// Renames a file, and replaces a file of the new name. After a crash, one of the two is intact
    /// under the new name.
    void rename(String from, String to);

    /// Deletes a file, if it exists.
    void delete(String name);

    @Override
    void close();

    /// Creates a file with this content, or replaces its content: after a crash it has the old
    /// content or the new. A failure leaves nothing behind that takes up room.
    default void replace(String name, byte[] content) {
        String temporary = name + TEMPORARY;
        try {
            write(temporary, content);
            rename(temporary, name);
        } catch (StoreException e) {
            try {
                delete(temporary);
            } catch (StoreException suppressed) {
                e.addSuppressed(suppressed);
            }
            throw e;
        }
    }

    /// Whether [#checkName] accepts it.
    static boolean isName(String name) {
        return Names.LEGAL.matcher(name).matches();
    }

    /// The rule for names: letters, digits, dots, dashes and underscores, at most 128, and no dot
    /// first.
    ///
    /// @return the name
    /// @throws MdevException EINVAL if the name breaks it
    static String checkName(String name) {
        if (!isName(name)) {
            throw new MdevException(Errno.EINVAL, "not a file name: name=" + name);
        }
        return name;
    }

    /// The pattern of [#checkName].
    final class Names {
        private static final Pattern LEGAL = Pattern.compile("[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}");

        private Names() {}
    }
}
