package dev.mdev.core.sys;

import com.sun.jna.Native;
import com.sun.jna.Platform;

/// The C library of this process, by JNA.
///
/// Direct mapping with integers only: no structure, callback or array is translated, and a call
/// costs some 0.2 us more than in C. No method declares `LastErrorException`: JNA throws that
/// whenever the error number is not 0, regardless of the function's result.
final class JnaLibc implements Libc {
    /// Named as in C, so that JNA finds them.
    private static final class Calls {
        static {
            Native.register(Calls.class, Platform.C_LIBRARY_NAME);
        }

        static native int open(long path, int flags, int mode);

        static native int close(int fd);

        static native int ioctl(int fd, long request, long argument);

        static native long read(int fd, long buffer, long length);

        static native long write(int fd, long buffer, long length);

        static native int sync_file_range(int fd, long offset, long length, int flags);

        static native int posix_fadvise(int fd, long offset, long length, int advice);

        static native int mount(long source, long target, long type, long flags, long data);

        static native int umount2(long target, int flags);

        static native int poll(long fds, long count, int timeout);

        static native long mmap(long addr, long length, int prot, int flags, int fd, long offset);

        static native int munmap(long addr, long length);

        static native int mprotect(long addr, long length, int prot);

        static native int madvise(long addr, long length, int advice);

        static native int memfd_create(long name, int flags);

        static native int ftruncate(int fd, long length);

        static native long lseek(int fd, long offset, int whence);

        static native int fallocate(int fd, int mode, long offset, long length);

        static native int eventfd(int initial, int flags);

        static native int getpid();

        static native int gettid();

        static native int setpriority(int which, int id, int nice);

        static native int tgkill(int pid, int tid, int signal);

        static native int pthread_sigmask(int how, long set, long oldSet);

        static native int sigtimedwait(long set, long info, long timeout);

        static native long pread(int fd, long buffer, long length, long offset);

        static native long pwrite(int fd, long buffer, long length, long offset);

        static native long preadv2(int fd, long parts, int count, long offset, int flags);

        static native int fcntl(int fd, int command, long argument);

        static native int fstat(int fd, long stat);

        static native int fstatfs(int fd, long statfs);

        static native int socket(int domain, int type, int protocol);

        static native int bind(int fd, long address, int length);

        static native int listen(int fd, int backlog);

        static native int accept4(int fd, long address, long length, int flags);

        static native int connect(int fd, long address, int length);

        static native int shutdown(int fd, int how);

        static native long sendmsg(int fd, long message, int flags);

        static native long recvmsg(int fd, long message, int flags);

        static native int getsockopt(int fd, int level, int option, long value, long length);

        static native int setsockopt(int fd, int level, int option, long value, int length);

        static native int socketpair(int domain, int type, int protocol, long fds);

        static native int posix_spawn_file_actions_init(long actions);

        static native int posix_spawn_file_actions_adddup2(long actions, int fd, int newFd);

        static native int posix_spawn_file_actions_destroy(long actions);

        static native int posix_spawn(
                long pid, long path, long actions, long attributes, long argv, long envp);

        static native int waitpid(int pid, long status, int options);
    }

    @Override
    public int errno() {
        return Native.getLastError();
    }

    @Override
    public int open(long path, int flags, int mode) {
        return Calls.open(path, flags, mode);
    }

    @Override
    public int close(int fd) {
        return Calls.close(fd);
    }

    @Override
    public int ioctl(int fd, long request, long argument) {
        return Calls.ioctl(fd, request, argument);
    }

    @Override
    public long read(int fd, long buffer, long lengthBytes) {
        return Calls.read(fd, buffer, lengthBytes);
    }

    @Override
    public long write(int fd, long buffer, long lengthBytes) {
        return Calls.write(fd, buffer, lengthBytes);
    }

    @Override
    public int syncFileRange(int fd, long offsetBytes, long lengthBytes, int flags) {
        return Calls.sync_file_range(fd, offsetBytes, lengthBytes, flags);
    }

    @Override
    public int posixFadvise(int fd, long offsetBytes, long lengthBytes, int advice) {
        return Calls.posix_fadvise(fd, offsetBytes, lengthBytes, advice);
    }

    @Override
    public int mount(long source, long target, long type, long flags, long options) {
        return Calls.mount(source, target, type, flags, options);
    }

    @Override
    public int umount2(long target, int flags) {
        return Calls.umount2(target, flags);
    }

    @Override
    public int poll(long fds, long count, int timeoutMillis) {
        return Calls.poll(fds, count, timeoutMillis);
    }

    @Override
    public long mmap(
            long address, long lengthBytes, int prot, int flags, int fd, long offsetBytes) {
        return Calls.mmap(address, lengthBytes, prot, flags, fd, offsetBytes);
    }

    @Override
    public int munmap(long address, long lengthBytes) {
        return Calls.munmap(address, lengthBytes);
    }

    @Override
    public int mprotect(long address, long lengthBytes, int prot) {
        return Calls.mprotect(address, lengthBytes, prot);
    }

    @Override
    public int madvise(long address, long lengthBytes, int advice) {
        return Calls.madvise(address, lengthBytes, advice);
    }

    @Override
    public int memfdCreate(long name, int flags) {
        return Calls.memfd_create(name, flags);
    }

    @Override
    public int ftruncate(int fd, long lengthBytes) {
        return Calls.ftruncate(fd, lengthBytes);
    }

    @Override
    public long lseek(int fd, long offsetBytes, int whence) {
        return Calls.lseek(fd, offsetBytes, whence);
    }

    @Override
    public int fallocate(int fd, int mode, long offsetBytes, long lengthBytes) {
        return Calls.fallocate(fd, mode, offsetBytes, lengthBytes);
    }

    @Override
    public int eventfd(int initial, int flags) {
        return Calls.eventfd(initial, flags);
    }

    @Override
    public int getpid() {
        return Calls.getpid();
    }

    @Override
    public int gettid() {
        return Calls.gettid();
    }

    @Override
    public int setpriority(int which, int id, int nice) {
        return Calls.setpriority(which, id, nice);
    }

    @Override
    public int tgkill(int pid, int tid, int signal) {
        return Calls.tgkill(pid, tid, signal);
    }

    @Override
    public int pthreadSigmask(int how, long set, long oldSet) {
        return Calls.pthread_sigmask(how, set, oldSet);
    }

    @Override
    public int sigtimedwait(long set, long info, long timeout) {
        return Calls.sigtimedwait(set, info, timeout);
    }

    @Override
    public long pread(int fd, long buffer, long lengthBytes, long offsetBytes) {
        return Calls.pread(fd, buffer, lengthBytes, offsetBytes);
    }

    @Override
    public long pwrite(int fd, long buffer, long lengthBytes, long offsetBytes) {
        return Calls.pwrite(fd, buffer, lengthBytes, offsetBytes);
    }

    @Override
    public long preadv2(int fd, long parts, int count, long offsetBytes, int flags) {
        return Calls.preadv2(fd, parts, count, offsetBytes, flags);
    }

    @Override
    public int fcntl(int fd, int command, long argument) {
        return Calls.fcntl(fd, command, argument);
    }

    @Override
    public int fstat(int fd, long stat) {
        return Calls.fstat(fd, stat);
    }

    @Override
    public int fstatfs(int fd, long statfs) {
        return Calls.fstatfs(fd, statfs);
    }

    @Override
    public int socket(int domain, int type, int protocol) {
        return Calls.socket(domain, type, protocol);
    }

    @Override
    public int bind(int fd, long address, int lengthBytes) {
        return Calls.bind(fd, address, lengthBytes);
    }

    @Override
    public int listen(int fd, int backlog) {
        return Calls.listen(fd, backlog);
    }

    @Override
    public int accept4(int fd, int flags) {
        return Calls.accept4(fd, 0, 0, flags);
    }

    @Override
    public int connect(int fd, long address, int lengthBytes) {
        return Calls.connect(fd, address, lengthBytes);
    }

    @Override
    public int shutdown(int fd, int how) {
        return Calls.shutdown(fd, how);
    }

    @Override
    public long sendmsg(int fd, long message, int flags) {
        return Calls.sendmsg(fd, message, flags);
    }

    @Override
    public long recvmsg(int fd, long message, int flags) {
        return Calls.recvmsg(fd, message, flags);
    }

    @Override
    public int getsockopt(int fd, int level, int option, long value, long length) {
        return Calls.getsockopt(fd, level, option, value, length);
    }

    @Override
    public int setsockopt(int fd, int level, int option, long value, int lengthBytes) {
        return Calls.setsockopt(fd, level, option, value, lengthBytes);
    }

    @Override
    public int socketpair(int domain, int type, int protocol, long fds) {
        return Calls.socketpair(domain, type, protocol, fds);
    }

    @Override
    public int posixSpawnFileActionsInit(long actions) {
        return Calls.posix_spawn_file_actions_init(actions);
    }

    @Override
    public int posixSpawnFileActionsAdddup2(long actions, int fd, int newFd) {
        return Calls.posix_spawn_file_actions_adddup2(actions, fd, newFd);
    }

    @Override
    public int posixSpawnFileActionsDestroy(long actions) {
        return Calls.posix_spawn_file_actions_destroy(actions);
    }

    @Override
    public int posixSpawn(
            long pid, long path, long actions, long attributes, long arguments, long environment) {
        return Calls.posix_spawn(pid, path, actions, attributes, arguments, environment);
    }

    @Override
    public int waitpid(int pid, long status, int options) {
        return Calls.waitpid(pid, status, options);
    }
}
