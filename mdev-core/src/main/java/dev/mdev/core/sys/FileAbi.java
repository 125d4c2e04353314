package dev.mdev.core.sys;

/// Numbers and structures of files: `fcntl(2)`, `fstat(2)`, `fstatfs(2)` (Linux, x86-64).
public final class FileAbi {
    public static final int O_ACCMODE = 3;
    public static final int O_RDONLY = 0;
    public static final int O_WRONLY = 1;
    public static final int O_APPEND = 0x400;
    public static final int O_DIRECT = 0x4000;
    public static final int O_PATH = 0x200000;

    public static final int F_GETFL = 3;
    public static final int F_SETFL = 4;
    public static final int F_ADD_SEALS = 1033;
    public static final int F_GET_SEALS = 1034;
    public static final int F_SEAL_SHRINK = 2;
    public static final int F_SEAL_WRITE = 8;

    public static final int MFD_ALLOW_SEALING = 2;

    public static final int RWF_NOWAIT = 8;

    public static final int SEEK_DATA = 3;
    public static final int SEEK_HOLE = 4;
    public static final int FALLOC_FL_KEEP_SIZE = 1;
    public static final int FALLOC_FL_PUNCH_HOLE = 2;

    public static final int S_IFMT = 0xF000;
    public static final int S_IFREG = 0x8000;

    public static final int TMPFS_MAGIC = 0x01021994;
    public static final int HUGETLBFS_MAGIC = 0x958458f6;
    public static final int EXT4_SUPER_MAGIC = 0xEF53;
    public static final int XFS_SUPER_MAGIC = 0x58465342;
    public static final int BTRFS_SUPER_MAGIC = 0x9123683E;

    private FileAbi() {}

    /// `struct stat`.
    public static final class Stat {
        public static final int SIZE = 144;
        public static final int DEV = 0;
        public static final int INO = 8;
        public static final int MODE = 24;
        public static final int FILE_SIZE = 48;
        public static final int BLKSIZE = 56;
        public static final int BLOCKS = 64;

        /// The unit of [#BLOCKS].
        public static final int BLOCK_BYTES = 512;

        private Stat() {}
    }

    /// `struct statfs`.
    public static final class Statfs {
        public static final int SIZE = 120;
        public static final int TYPE = 0;

        private Statfs() {}
    }
}
