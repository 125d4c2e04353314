package dev.mdev.api;

import java.util.Optional;

/// Linux error numbers (x86-64, `errno(3)`): those that this project uses.
public enum Errno {
    /// Operation not permitted.
    EPERM(1, "Operation not permitted"),
    /// No such file or directory.
    ENOENT(2, "No such file or directory"),
    /// No such process.
    ESRCH(3, "No such process"),
    /// Interrupted system call.
    EINTR(4, "Interrupted system call"),
    /// Input/output error.
    EIO(5, "Input/output error"),
    /// No such device or address.
    ENXIO(6, "No such device or address"),
    /// Argument list too long.
    E2BIG(7, "Argument list too long"),
    /// Bad file descriptor.
    EBADF(9, "Bad file descriptor"),
    /// Resource temporarily unavailable.
    EAGAIN(11, "Resource temporarily unavailable"),
    /// Cannot allocate memory.
    ENOMEM(12, "Cannot allocate memory"),
    /// Permission denied.
    EACCES(13, "Permission denied"),
    /// Bad address.
    EFAULT(14, "Bad address"),
    /// Device or resource busy.
    EBUSY(16, "Device or resource busy"),
    /// File exists.
    EEXIST(17, "File exists"),
    /// No such device.
    ENODEV(19, "No such device"),
    /// Not a directory.
    ENOTDIR(20, "Not a directory"),
    /// Invalid argument.
    EINVAL(22, "Invalid argument"),
    /// Too many open files in system.
    ENFILE(23, "Too many open files in system"),
    /// Too many open files.
    EMFILE(24, "Too many open files"),
    /// Inappropriate ioctl for device.
    ENOTTY(25, "Inappropriate ioctl for device"),
    /// File too large.
    EFBIG(27, "File too large"),
    /// No space left on device.
    ENOSPC(28, "No space left on device"),
    /// Read-only file system.
    EROFS(30, "Read-only file system"),
    /// Broken pipe.
    EPIPE(32, "Broken pipe"),
    /// Numerical result out of range.
    ERANGE(34, "Numerical result out of range"),
    /// Resource deadlock avoided.
    EDEADLK(35, "Resource deadlock avoided"),
    /// Function not implemented.
    ENOSYS(38, "Function not implemented"),
    /// No data available.
    ENODATA(61, "No data available"),
    /// Protocol error.
    EPROTO(71, "Protocol error"),
    /// Value too large for defined data type.
    EOVERFLOW(75, "Value too large for defined data type"),
    /// Too many users.
    EUSERS(87, "Too many users"),
    /// Operation not supported.
    EOPNOTSUPP(95, "Operation not supported"),
    /// Address already in use.
    EADDRINUSE(98, "Address already in use"),
    /// Connection reset by peer.
    ECONNRESET(104, "Connection reset by peer"),
    /// No buffer space available.
    ENOBUFS(105, "No buffer space available"),
    /// Cannot send after transport endpoint shutdown.
    ESHUTDOWN(108, "Cannot send after transport endpoint shutdown"),
    /// Connection timed out.
    ETIMEDOUT(110, "Connection timed out"),
    /// Connection refused.
    ECONNREFUSED(111, "Connection refused"),
    /// Stale file handle.
    ESTALE(116, "Stale file handle"),
    /// Disk quota exceeded.
    EDQUOT(122, "Disk quota exceeded"),
    /// Operation canceled.
    ECANCELED(125, "Operation canceled"),
    /// Owner died.
    EOWNERDEAD(130, "Owner died"),
    /// Memory page has hardware error.
    EHWPOISON(133, "Memory page has hardware error");

    private final int code;
    private final String text;

    Errno(int code, String text) {
        this.code = code;
        this.text = text;
    }

    /// The number, positive, as in the kernel and the wire protocols.
    public int code() {
        return code;
    }

    /// The text of `strerror(3)`.
    public String text() {
        return text;
    }

    /// The error of a number, or nothing if it is not in this list.
    public static Optional<Errno> of(int code) {
        for (Errno errno : values()) {
            if (errno.code == code) {
                return Optional.of(errno);
            }
        }
        return Optional.empty();
    }
}
