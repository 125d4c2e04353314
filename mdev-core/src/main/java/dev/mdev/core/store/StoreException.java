package dev.mdev.core.store;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.Set;

/// The host could not read or write its state: it has no room (ENOSPC, EDQUOT, EFBIG), no
/// permission (EACCES, EROFS), or its disk fails (EIO). The message names the file and its
/// directory.
///
/// The cause is on the host, not in the request: the same request succeeds after a repair of the
/// host.
public final class StoreException extends MdevException {
    private static final long serialVersionUID = 1L;

    private static final Set<Errno> FULL = Set.of(Errno.ENOSPC, Errno.EDQUOT, Errno.EFBIG);

    public StoreException(Errno errno, String message) {
        super(errno, message);
    }

    public StoreException(Errno errno, String message, Throwable cause) {
        super(errno, message, cause);
    }

    /// Whether there is no room, so that an operator must make some.
    public boolean isFull() {
        return FULL.contains(errno());
    }
}
