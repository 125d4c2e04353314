package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.FileAbi;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.NativeFd;

/// How the memory of a descriptor can be reached without harm, whatever its owner does to it.
enum ClientFile {
    /// Anonymous memory that cannot shrink: mapped into this process.
    MAPPED,

    /// An ordinary file: read and written by calls. If it shrinks, a call says so, where an access
    /// to a mapping would raise SIGBUS.
    BY_CALLS;

    /// The way to a file.
    ///
    /// @throws MdevException EINVAL for what is neither: a pipe, a device, a folder, a file system
    ///   that may wait for another process, such as FUSE
    static ClientFile of(FileFacts facts) {
        if (!facts.isRegular()
                || !facts.isReadable()
                || (facts.flags() & (FileAbi.O_APPEND | FileAbi.O_DIRECT)) != 0) {
            throw new MdevException(Errno.EINVAL, "not memory: " + facts);
        }
        return switch (facts.fileSystem()) {
            case FileAbi.TMPFS_MAGIC -> isSealed(facts) ? MAPPED : BY_CALLS;
            case FileAbi.HUGETLBFS_MAGIC -> {
                if (!isSealed(facts)) {
                    throw new MdevException(Errno.EINVAL, "huge pages that can shrink: " + facts);
                }
                yield MAPPED;
            }
            case FileAbi.EXT4_SUPER_MAGIC, FileAbi.XFS_SUPER_MAGIC, FileAbi.BTRFS_SUPER_MAGIC ->
                    BY_CALLS;
            default -> throw new MdevException(Errno.EINVAL, "on no local disk: " + facts);
        };
    }

    /// Whether the file's memory may be written.
    static boolean isWritable(FileFacts facts) {
        return facts.isWritable() && !facts.has(FileAbi.F_SEAL_WRITE);
    }

    private static boolean isSealed(FileFacts facts) {
        return facts.has(FileAbi.F_SEAL_SHRINK);
    }

    /// Where a map is in a file.
    ///
    /// @param fd the map's own
    record Place(NativeFd fd, FileFacts facts, long offsetBytes, long sizeBytes) {
        Place {
            if (offsetBytes < 0
                    || sizeBytes > facts.sizeBytes()
                    || offsetBytes > facts.sizeBytes() - sizeBytes) {
                throw new MdevException(
                        Errno.EINVAL,
                        "outside the file: offset=0x%x sizeBytes=0x%x %s"
                                .formatted(offsetBytes, sizeBytes, facts));
            }
        }
    }
}
