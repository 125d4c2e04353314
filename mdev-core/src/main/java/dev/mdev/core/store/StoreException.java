package dev.mdev.core.store;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.Set;

/// The host could not read or write what it remembers: it has no room (ENOSPC, EDQUOT, EFBIG), may
/// not (EACCES, EROFS), or its disk fails (EIO). The message names the file and its directory.
///
/// It says nothing about who asked: the same request succeeds once the host has been put right.
public final class StoreException extends MdevException {
    private static final long serialVersionUID = 1L;

    private static final Set<Errno> FULL = Set.of(Errno.ENOSPC, Errno.EDQUOT, Errno.EFBIG);

    public StoreException(Errno errno, String message) {
        super(errno, message);
    }

    public StoreException(Errno errno, String message, Throwable cause) {
        super(errno, message, cause);
    }

    /// Whether there is no room: somebody has to make some.
    public boolean isFull() {
        return FULL.contains(errno());
    }
}
