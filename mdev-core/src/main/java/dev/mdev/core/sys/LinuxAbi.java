package dev.mdev.core.sys;

/// Numbers of the C library and the kernel outside the subsystems (Linux, x86-64).
public final class LinuxAbi {
    public static final int O_RDONLY = 0;
    public static final int O_RDWR = 2;
    public static final int O_NONBLOCK = 0x800;
    public static final int O_SYNC = 0x101000;
    public static final int O_DIRECT = 0x4000;
    public static final int O_CLOEXEC = 0x80000;

    public static final int PROT_NONE = 0;
    public static final int PROT_READ = 1;
    public static final int PROT_WRITE = 2;

    public static final int MAP_SHARED = 1;
    public static final int MAP_PRIVATE = 2;
    public static final int MAP_FIXED = 0x10;
    public static final int MAP_ANONYMOUS = 0x20;
    public static final int MAP_NORESERVE = 0x4000;

    /// The result of a failed `mmap`.
    public static final long MAP_FAILED = -1;

    public static final int MADV_DONTNEED = 4;
    public static final int MFD_CLOEXEC = 1;

    public static final int EFD_CLOEXEC = 0x80000;
    public static final int EFD_NONBLOCK = 0x800;

    public static final int POSIX_FADV_RANDOM = 1;
    public static final int SYNC_FILE_RANGE_WAIT_BEFORE = 1;
    public static final int SYNC_FILE_RANGE_WRITE = 2;
    public static final int SYNC_FILE_RANGE_WAIT_AFTER = 4;

    public static final int MS_NOSUID = 2;
    public static final int MS_NODEV = 4;
    public static final int MS_NOEXEC = 8;
    public static final int MNT_FORCE = 1;
    public static final int MNT_DETACH = 2;

    public static final int PRIO_PROCESS = 0;

    public static final int POLLIN = 1;
    public static final int POLLOUT = 4;
    public static final int SIGBUS = 7;
    public static final int SIGKILL = 9;
    public static final int SIGUSR1 = 10;
    public static final int SIG_BLOCK = 0;
    public static final int SIG_SETMASK = 2;

    private LinuxAbi() {}

    /// `struct pollfd`.
    public static final class Pollfd {
        public static final int SIZE = 8;
        public static final int FD = 0;
        public static final int EVENTS = 4;
        public static final int REVENTS = 6;

        private Pollfd() {}
    }

    /// `sigset_t` of the C library; the kernel uses its first eight bytes.
    public static final class Sigset {
        public static final int SIZE = 128;

        private Sigset() {}

        /// The bit of a signal in the first word.
        public static long bit(int signal) {
            return 1L << (signal - 1);
        }
    }

    /// `siginfo_t`.
    public static final class Siginfo {
        public static final int SIZE = 128;

        /// The address of a memory fault.
        public static final int ADDR = 16;

        private Siginfo() {}
    }

    /// `struct timespec`.
    public static final class Timespec {
        public static final int SIZE = 16;

        private Timespec() {}
    }

    /// `posix_spawn_file_actions_t`.
    public static final class SpawnFileActions {
        public static final int SIZE = 80;

        private SpawnFileActions() {}
    }
}
