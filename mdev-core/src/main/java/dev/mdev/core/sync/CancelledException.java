package dev.mdev.core.sync;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// Work was ended early, as somebody wanted ([LongWork#cancel]).
public final class CancelledException extends MdevException {
    private static final long serialVersionUID = 1L;

    CancelledException() {
        super(Errno.ECANCELED, "ended early");
    }
}
