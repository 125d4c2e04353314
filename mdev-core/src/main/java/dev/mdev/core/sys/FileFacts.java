package dev.mdev.core.sys;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// What the kernel says of an open file, and nothing that its name or its sender claims.
///
/// @param device with `inode`, identifies the file
/// @param mode type and permissions (`S_IF...`)
/// @param sizeBytes its size now
/// @param heldBytes what it takes of its file system, or of the memory: holes take nothing
/// @param blockBytes its block size: the page size of a file of huge pages
/// @param fileSystem the type of its file system (`..._MAGIC`)
/// @param flags `O_...`, as it was opened
/// @param seals `F_SEAL_...`; 0 if it cannot have any
public record FileFacts(
        long device,
        long inode,
        int mode,
        long sizeBytes,
        long heldBytes,
        long blockBytes,
        int fileSystem,
        int flags,
        int seals) {
    /// Asks the kernel.
    ///
    /// @throws dev.mdev.api.MdevException the error of the call that failed
    public static FileFacts of(Syscalls sys, NativeFd fd) {
        Libc libc = sys.libc();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment stat = arena.allocate(FileAbi.Stat.SIZE, Long.BYTES);
            if (libc.fstat(fd.number(), stat.address()) < 0) {
                throw Syscalls.failure(libc.errno(), "fstat fd=" + fd);
            }
            MemorySegment statfs = arena.allocate(FileAbi.Statfs.SIZE, Long.BYTES);
            if (libc.fstatfs(fd.number(), statfs.address()) < 0) {
                throw Syscalls.failure(libc.errno(), "fstatfs fd=" + fd);
            }
            return new FileFacts(
                    stat.get(ValueLayout.JAVA_LONG, FileAbi.Stat.DEV),
                    stat.get(ValueLayout.JAVA_LONG, FileAbi.Stat.INO),
                    stat.get(ValueLayout.JAVA_INT, FileAbi.Stat.MODE),
                    stat.get(ValueLayout.JAVA_LONG, FileAbi.Stat.FILE_SIZE),
                    stat.get(ValueLayout.JAVA_LONG, FileAbi.Stat.BLOCKS) * FileAbi.Stat.BLOCK_BYTES,
                    stat.get(ValueLayout.JAVA_LONG, FileAbi.Stat.BLKSIZE),
                    (int) statfs.get(ValueLayout.JAVA_LONG, FileAbi.Statfs.TYPE),
                    sys.fcntl(fd, FileAbi.F_GETFL, 0, "F_GETFL"),
                    Math.max(0, libc.fcntl(fd.number(), FileAbi.F_GET_SEALS, 0)));
        }
    }

    /// Whether it is a regular file: no pipe, device, folder or socket.
    public boolean isRegular() {
        return (mode & FileAbi.S_IFMT) == FileAbi.S_IFREG;
    }

    public boolean isReadable() {
        return (flags & FileAbi.O_PATH) == 0 && (flags & FileAbi.O_ACCMODE) != FileAbi.O_WRONLY;
    }

    public boolean isWritable() {
        return (flags & FileAbi.O_PATH) == 0 && (flags & FileAbi.O_ACCMODE) != FileAbi.O_RDONLY;
    }

    public boolean has(int seal) {
        return (seals & seal) != 0;
    }
}
