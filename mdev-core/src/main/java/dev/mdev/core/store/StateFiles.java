package dev.mdev.core.store;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;

/// A flat directory of small files, with the few operations that can be made to survive a crash.
///
/// An operation that returned has happened for good, unless it says otherwise. One that throws, or
/// that the process died in, has happened or not; [#append] and [#write] may have happened in part.
/// All methods may be called by any thread. They throw [StoreException] if the system does not do
/// it: ENOSPC, EDQUOT, EACCES or EROFS if that is the reason, else EIO; and [MdevException]
/// ESHUTDOWN after [#close].
public interface StateFiles extends AutoCloseable {
    /// What the temporary file of [#replace] is called: the file's name and this.
    String TEMPORARY = ".tmp";

    /// The most names that [#list] tells.
    int MAX_NAMES = 1 << 16;

    /// The names of the files, in no order, and of whatever else is there. What [#checkName] does
    /// not accept is told under an alias: [#read] and [#delete] know it, nothing else does.
    ///
    /// @throws StoreException EFBIG if there are more than [#MAX_NAMES]
    List<String> list();

    /// All of a file, or nothing if there is none.
    ///
    /// @throws StoreException EFBIG if it is larger than `maxBytes`; EINVAL if it is no file, or
    ///   the name is an alias
    Optional<byte[]> read(String name, int maxBytes);

    /// Makes a file with this content, or gives it this content.
    void write(String name, byte[] content);

    /// Adds bytes at a file's end, and makes the file if there is none.
    ///
    /// @param durable whether the file, all earlier bytes included, is to survive a crash of the
    ///   host; else it survives one of the process
    void append(String name, byte[] bytes, boolean durable);

    /// Cuts a file's end off, if it is longer than `sizeBytes`; this is durable.
    void truncate(String name, long sizeBytes);

    /// Gives a file another name; a file that had the name is gone. After a crash, one of the two
    /// is there under the new name, whole.
    void rename(String from, String to);

    /// Deletes a file, if it is there.
    void delete(String name);

    @Override
    void close();

    /// Makes a file with this content, or gives it this content: after a crash it has the old
    /// content or the new. If it fails, nothing of it is left over that takes up room.
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

    /// What implementations accept as a name: letters, digits, dots, dashes and underscores, at
    /// most 128, and no dot first.
    ///
    /// @return the name
    /// @throws MdevException EINVAL if it is none
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
