package dev.mdev.core.sys;

/// The C library, one method for each function, named as in C.
///
/// Methods return the function's result and throw nothing. After a failure, [#errno] has the
/// reason; read it before the thread makes another call of this interface. Pointers are addresses
/// in a `long`, sizes and offsets are in bytes.
///
/// A fake of this interface reaches every error path without the kernel.
public interface Libc {
    /// The error number of this thread's last failed call.
    int errno();

    /// `open(2)`.
    ///
    /// @param path address of a NUL-terminated string
    /// @return a file descriptor, or -1
    int open(long path, int flags, int mode);

    /// `close(2)`.
    int close(int fd);

    /// `ioctl(2)`.
    ///
    /// @param argument a number, or the address of a struct
    /// @return at least 0, or -1
    int ioctl(int fd, long request, long argument);

    /// `read(2)`.
    ///
    /// @return bytes read, or -1
    long read(int fd, long buffer, long lengthBytes);

    /// `write(2)`.
    ///
    /// @return bytes written, or -1
    long write(int fd, long buffer, long lengthBytes);

    /// `sync_file_range(2)`: unlike `fsync(2)`, it takes no lock that another user of the file can
    /// hold.
    int syncFileRange(int fd, long offsetBytes, long lengthBytes, int flags);

    /// `posix_fadvise(3)`.
    ///
    /// @return 0 or an error number; it does not set [#errno]
    int posixFadvise(int fd, long offsetBytes, long lengthBytes, int advice);

    /// `mount(2)`.
    ///
    /// @param source address of a NUL-terminated string, as are `target`, `type` and `options`
    int mount(long source, long target, long type, long flags, long options);

    /// `umount2(2)`.
    ///
    /// @param target address of a NUL-terminated string
    int umount2(long target, int flags);

    /// `poll(2)`.
    ///
    /// @param fds address of an array of `struct pollfd`
    /// @param timeoutMillis -1 for no limit
    /// @return descriptors that are ready, or -1
    int poll(long fds, long count, int timeoutMillis);

    /// `mmap(2)`.
    ///
    /// @return the address, or -1
    long mmap(long address, long lengthBytes, int prot, int flags, int fd, long offsetBytes);

    /// `munmap(2)`.
    int munmap(long address, long lengthBytes);

    /// `mprotect(2)`.
    int mprotect(long address, long lengthBytes, int prot);

    /// `madvise(2)`.
    int madvise(long address, long lengthBytes, int advice);

    /// `memfd_create(2)`.
    ///
    /// @param name address of a NUL-terminated string
    /// @return a file descriptor, or -1
    int memfdCreate(long name, int flags);

    /// `ftruncate(2)`.
    int ftruncate(int fd, long lengthBytes);

    /// `lseek(2)`.
    ///
    /// @return the offset, or -1
    long lseek(int fd, long offsetBytes, int whence);

    /// `fallocate(2)`.
    int fallocate(int fd, int mode, long offsetBytes, long lengthBytes);

    /// `eventfd(2)`.
    ///
    /// @return a file descriptor, or -1
    int eventfd(int initial, int flags);

    /// `getpid(2)`.
    int getpid();

    /// `gettid(2)`: the kernel's number of the calling thread.
    int gettid();

    /// `setpriority(2)`.
    ///
    /// @param which what `id` means
    /// @param id 0 is the caller: with `PRIO_PROCESS`, on Linux, the calling thread
    int setpriority(int which, int id, int nice);

    /// `tgkill(2)`: sends a signal to one thread.
    int tgkill(int pid, int tid, int signal);

    /// `pthread_sigmask(3)`.
    ///
    /// @param set address of a `sigset_t`, or 0
    /// @param oldSet address of a `sigset_t`, or 0
    /// @return 0 or an error number; it does not set [#errno]
    int pthreadSigmask(int how, long set, long oldSet);

    /// `sigtimedwait(2)`: takes a pending signal.
    ///
    /// @param set address of a `sigset_t`
    /// @param info address of a `siginfo_t`
    /// @param timeout address of a `struct timespec`
    /// @return the signal, or -1
    int sigtimedwait(long set, long info, long timeout);

    /// `pread(2)`.
    ///
    /// @return bytes read, or -1
    long pread(int fd, long buffer, long lengthBytes, long offsetBytes);

    /// `pwrite(2)`.
    ///
    /// @return bytes written, or -1
    long pwrite(int fd, long buffer, long lengthBytes, long offsetBytes);

    /// `preadv2(2)`.
    ///
    /// @param parts address of an array of `struct iovec`
    /// @param offsetBytes -1 for the file's own position
    /// @return bytes read, or -1
    long preadv2(int fd, long parts, int count, long offsetBytes, int flags);

    /// `fcntl(2)`.
    int fcntl(int fd, int command, long argument);

    /// `fstat(2)`.
    ///
    /// @param stat address of a `struct stat`
    int fstat(int fd, long stat);

    /// `fstatfs(2)`.
    ///
    /// @param statfs address of a `struct statfs`
    int fstatfs(int fd, long statfs);

    /// `socket(2)`.
    ///
    /// @return a file descriptor, or -1
    int socket(int domain, int type, int protocol);

    /// `bind(2)`.
    ///
    /// @param address address of a `struct sockaddr`
    int bind(int fd, long address, int lengthBytes);

    /// `listen(2)`.
    int listen(int fd, int backlog);

    /// `accept4(2)`, without the peer's address.
    ///
    /// @return a file descriptor, or -1
    int accept4(int fd, int flags);

    /// `connect(2)`.
    ///
    /// @param address address of a `struct sockaddr`
    int connect(int fd, long address, int lengthBytes);

    /// `shutdown(2)`.
    int shutdown(int fd, int how);

    /// `sendmsg(2)`.
    ///
    /// @param message address of a `struct msghdr`
    /// @return bytes sent, or -1
    long sendmsg(int fd, long message, int flags);

    /// `recvmsg(2)`.
    ///
    /// @param message address of a `struct msghdr`
    /// @return bytes received, 0 at the end of the stream, or -1
    long recvmsg(int fd, long message, int flags);

    /// `getsockopt(2)`.
    ///
    /// @param length address of a `socklen_t`
    int getsockopt(int fd, int level, int option, long value, long length);

    /// `setsockopt(2)`.
    int setsockopt(int fd, int level, int option, long value, int lengthBytes);

    /// `socketpair(2)`.
    ///
    /// @param fds address of two `int`
    int socketpair(int domain, int type, int protocol, long fds);

    /// `posix_spawn_file_actions_init(3)`.
    ///
    /// @param actions address of a `posix_spawn_file_actions_t`
    /// @return 0 or an error number; it does not set [#errno]
    int posixSpawnFileActionsInit(long actions);

    /// `posix_spawn_file_actions_adddup2(3)`.
    ///
    /// @return 0 or an error number; it does not set [#errno]
    int posixSpawnFileActionsAdddup2(long actions, int fd, int newFd);

    /// `posix_spawn_file_actions_destroy(3)`.
    ///
    /// @return 0 or an error number; it does not set [#errno]
    int posixSpawnFileActionsDestroy(long actions);

    /// `posix_spawn(3)`.
    ///
    /// @param pid address of an `int` for the new process's number
    /// @param path address of a NUL-terminated string
    /// @param actions address of a `posix_spawn_file_actions_t`
    /// @param attributes 0
    /// @param arguments address of pointers to NUL-terminated strings, the last one 0; as is
    ///   `environment`
    /// @return 0 or an error number; it does not set [#errno]
    int posixSpawn(
            long pid, long path, long actions, long attributes, long arguments, long environment);

    /// `waitpid(2)`.
    ///
    /// @param status address of an `int`
    /// @return the process's number, 0 if it still runs, or -1
    int waitpid(int pid, long status, int options);
}
