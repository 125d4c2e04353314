package dev.mdev.core.sys;

/// `linux/fuse.h`: requests of the kernel for a file system in user space, read from a file, and
/// answers and notices, written to it. The names are the header's, without `fuse_`.
public final class FuseAbi {
    public static final int FUSE_KERNEL_VERSION = 7;
    public static final long FUSE_ROOT_ID = 1;

    /// Room beside the data in the largest request (Linux `FUSE_BUFFER_HEADER_SIZE`).
    public static final int FUSE_BUFFER_HEADER_SIZE = 0x1000;

    public static final int FUSE_LOOKUP = 1;
    public static final int FUSE_FORGET = 2;
    public static final int FUSE_GETATTR = 3;
    public static final int FUSE_SETATTR = 4;
    public static final int FUSE_OPEN = 14;
    public static final int FUSE_READ = 15;
    public static final int FUSE_WRITE = 16;
    public static final int FUSE_STATFS = 17;
    public static final int FUSE_RELEASE = 18;
    public static final int FUSE_INIT = 26;
    public static final int FUSE_OPENDIR = 27;
    public static final int FUSE_INTERRUPT = 36;
    public static final int FUSE_DESTROY = 38;
    public static final int FUSE_BATCH_FORGET = 42;

    public static final int FUSE_BIG_WRITES = 1 << 5;
    public static final int FUSE_ABORT_ERROR = 1 << 21;
    public static final int FUSE_MAX_PAGES = 1 << 22;

    public static final int FOPEN_KEEP_CACHE = 1 << 1;
    public static final int FOPEN_NOFLUSH = 1 << 5;

    public static final int FUSE_WRITE_CACHE = 1;

    public static final int FUSE_NOTIFY_INVAL_INODE = 2;

    private FuseAbi() {}

    /// `struct fuse_in_header`.
    public static final class InHeader {
        public static final int SIZE = 40;
        public static final int LEN = 0;
        public static final int OPCODE = 4;
        public static final int UNIQUE = 8;
        public static final int NODEID = 16;

        private InHeader() {}
    }

    /// `struct fuse_out_header`.
    public static final class OutHeader {
        public static final int SIZE = 16;
        public static final int LEN = 0;
        public static final int ERROR = 4;
        public static final int UNIQUE = 8;

        private OutHeader() {}
    }

    /// `struct fuse_init_in`.
    public static final class InitIn {
        /// Without the fields that came with version 7.36.
        public static final int MIN_SIZE = 16;

        public static final int MAJOR = 0;
        public static final int MINOR = 4;
        public static final int MAX_READAHEAD = 8;
        public static final int FLAGS = 12;

        private InitIn() {}
    }

    /// `struct fuse_init_out`.
    public static final class InitOut {
        public static final int SIZE = 64;
        public static final int MAJOR = 0;
        public static final int MINOR = 4;
        public static final int MAX_READAHEAD = 8;
        public static final int FLAGS = 12;
        public static final int MAX_BACKGROUND = 16;
        public static final int CONGESTION_THRESHOLD = 18;
        public static final int MAX_WRITE = 20;
        public static final int TIME_GRAN = 24;
        public static final int MAX_PAGES = 28;

        private InitOut() {}
    }

    /// `struct fuse_attr`.
    public static final class Attr {
        public static final int SIZE = 88;
        public static final int INO = 0;
        public static final int SIZE_BYTES = 8;
        public static final int BLOCKS = 16;
        public static final int MODE = 60;
        public static final int NLINK = 64;
        public static final int UID = 68;
        public static final int GID = 72;
        public static final int BLKSIZE = 80;

        private Attr() {}
    }

    /// `struct fuse_entry_out`; ends with the attributes.
    public static final class EntryOut {
        public static final int SIZE = 128;
        public static final int NODEID = 0;
        public static final int GENERATION = 8;
        public static final int ENTRY_VALID = 16;
        public static final int ATTR_VALID = 24;
        public static final int ATTR = 40;

        private EntryOut() {}
    }

    /// `struct fuse_attr_out`; ends with the attributes.
    public static final class AttrOut {
        public static final int SIZE = 104;
        public static final int ATTR_VALID = 0;
        public static final int ATTR = 16;

        private AttrOut() {}
    }

    /// `struct fuse_open_in`.
    public static final class OpenIn {
        public static final int SIZE = 8;
        public static final int FLAGS = 0;

        private OpenIn() {}
    }

    /// `struct fuse_open_out`.
    public static final class OpenOut {
        public static final int SIZE = 16;
        public static final int FH = 0;
        public static final int OPEN_FLAGS = 8;

        private OpenOut() {}
    }

    /// `struct fuse_read_in`.
    public static final class ReadIn {
        public static final int SIZE = 40;
        public static final int FH = 0;
        public static final int OFFSET = 8;
        public static final int SIZE_BYTES = 16;
        public static final int FLAGS = 32;

        private ReadIn() {}
    }

    /// `struct fuse_write_in`; the data follow.
    public static final class WriteIn {
        public static final int SIZE = 40;
        public static final int FH = 0;
        public static final int OFFSET = 8;
        public static final int SIZE_BYTES = 16;
        public static final int WRITE_FLAGS = 20;

        private WriteIn() {}
    }

    /// `struct fuse_write_out`.
    public static final class WriteOut {
        public static final int SIZE = 8;
        public static final int SIZE_BYTES = 0;

        private WriteOut() {}
    }

    /// `struct fuse_statfs_out`.
    public static final class StatfsOut {
        public static final int SIZE = 80;
        public static final int BSIZE = 40;
        public static final int NAMELEN = 44;

        private StatfsOut() {}
    }

    /// `struct fuse_forget_in`.
    public static final class ForgetIn {
        public static final int SIZE = 8;
        public static final int NLOOKUP = 0;

        private ForgetIn() {}
    }

    /// `struct fuse_batch_forget_in`; pieces of [ForgetOne] follow.
    public static final class BatchForgetIn {
        public static final int SIZE = 8;
        public static final int COUNT = 0;

        private BatchForgetIn() {}
    }

    /// `struct fuse_forget_one`.
    public static final class ForgetOne {
        public static final int SIZE = 16;
        public static final int NODEID = 0;
        public static final int NLOOKUP = 8;

        private ForgetOne() {}
    }

    /// `struct fuse_notify_inval_inode_out`.
    public static final class NotifyInvalInodeOut {
        public static final int SIZE = 24;
        public static final int INO = 0;
        public static final int OFF = 8;
        public static final int LEN = 16;

        private NotifyInvalInodeOut() {}
    }
}
