package dev.mdev.core.sys;

/// `linux/userfaultfd.h`: faults of this process, read from a file.
public final class UserfaultfdAbi {
    private static final int TYPE = 0xAA;

    public static final long UFFD_API = 0xAA;

    /// On `/dev/userfaultfd`; the argument is `open(2)` flags. Since Linux 6.1.
    public static final long USERFAULTFD_IOC_NEW = Ioctl.io(TYPE, 0);

    public static final long UFFDIO_API = Ioctl.iowr(TYPE, 0x3F, Api.SIZE);
    public static final long UFFDIO_REGISTER = Ioctl.iowr(TYPE, 0, Register.SIZE);
    public static final long UFFDIO_WAKE = Ioctl.ior(TYPE, 2, Range.SIZE);
    public static final long UFFDIO_CONTINUE = Ioctl.iowr(TYPE, 7, Continue.SIZE);

    /// Since Linux 6.6.
    public static final long UFFDIO_POISON = Ioctl.iowr(TYPE, 8, Poison.SIZE);

    public static final long UFFDIO_REGISTER_MODE_MISSING = 1;
    public static final long UFFDIO_REGISTER_MODE_MINOR = 4;

    public static final long UFFD_FEATURE_MISSING_SHMEM = 1 << 5;
    public static final long UFFD_FEATURE_THREAD_ID = 1 << 8;
    public static final long UFFD_FEATURE_MINOR_SHMEM = 1 << 10;

    public static final int UFFD_EVENT_PAGEFAULT = 0x12;

    public static final int UFFD_PAGEFAULT_FLAG_WRITE = 1;

    /// [#UFFDIO_CONTINUE] does not wake the threads that wait for the page.
    public static final long UFFDIO_CONTINUE_MODE_DONTWAKE = 1;

    private UserfaultfdAbi() {}

    /// `struct uffdio_api`.
    public static final class Api {
        public static final int SIZE = 24;
        public static final int API = 0;
        public static final int FEATURES = 8;
        public static final int IOCTLS = 16;

        private Api() {}
    }

    /// `struct uffdio_range`.
    public static final class Range {
        public static final int SIZE = 16;
        public static final int START = 0;
        public static final int LEN = 8;

        private Range() {}
    }

    /// `struct uffdio_register`; begins with a range.
    public static final class Register {
        public static final int SIZE = 32;
        public static final int MODE = 16;
        public static final int IOCTLS = 24;

        private Register() {}
    }

    /// `struct uffdio_continue`; begins with a range.
    public static final class Continue {
        public static final int SIZE = 32;
        public static final int MODE = 16;
        public static final int MAPPED = 24;

        private Continue() {}
    }

    /// `struct uffdio_poison`; begins with a range.
    public static final class Poison {
        public static final int SIZE = 32;
        public static final int MODE = 16;
        public static final int UPDATED = 24;

        private Poison() {}
    }

    /// `struct uffd_msg`, with the fields of a page fault.
    public static final class Msg {
        public static final int SIZE = 32;
        public static final int EVENT = 0;
        public static final int FLAGS = 8;
        public static final int ADDRESS = 16;
        public static final int PTID = 24;

        private Msg() {}
    }
}
