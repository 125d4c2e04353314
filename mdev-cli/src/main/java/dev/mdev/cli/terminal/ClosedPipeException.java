package dev.mdev.cli.terminal;

import java.io.IOException;
import java.io.UncheckedIOException;

/// The reader of the output has gone, as in `mdev list | head -1`: there is nothing left to do.
public final class ClosedPipeException extends UncheckedIOException {
    private static final long serialVersionUID = 1L;

    ClosedPipeException(IOException cause) {
        super(cause);
    }
}
