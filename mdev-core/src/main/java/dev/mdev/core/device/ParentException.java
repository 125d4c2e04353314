package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// A request cannot be served: its parent is absent, arriving or leaving, or lacks the type.
public final class ParentException extends MdevException {
    private static final long serialVersionUID = 1L;

    private final Reason reason;

    public ParentException(Reason reason, String message) {
        super(reason.errno, message);
        this.reason = reason;
    }

    /// @param state `arriving` or `leaving`
    public static ParentException notPresent(String parent, String state) {
        return new ParentException(Reason.NOT_PRESENT, "parent=%s is %s".formatted(parent, state));
    }

    /// The reasons.
    public enum Reason {
        /// There is no parent of that name (ENODEV).
        NO_SUCH_PARENT(Errno.ENODEV),
        /// The parent is arriving or leaving: it takes no devices (ENODEV).
        NOT_PRESENT(Errno.ENODEV),
        /// The parent has no such type (ENOENT).
        NO_SUCH_TYPE(Errno.ENOENT);

        private final Errno errno;

        Reason(Errno errno) {
            this.errno = errno;
        }
    }

    public Reason reason() {
        return reason;
    }
}
