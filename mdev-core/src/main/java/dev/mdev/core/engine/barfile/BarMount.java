package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.NativeFd;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;

/// The place of the file system: a folder that one process at a time may use, and that only its
/// user enters.
///
/// A process that dies leaves its mount behind, on which every access fails with ENOTCONN. The next
/// one knows by the lock that the process is gone, and detaches the mount.
final class BarMount implements AutoCloseable {
    private static final Path MOUNTS = Path.of("/proc/self/mountinfo");
    private static final Path CONNECTIONS = Path.of("/sys/fs/fuse/connections");

    /// Where a device number has the high bits of its minor number (Linux `new_encode_dev`).
    private static final int HIGH_MINOR_SHIFT = 12;

    /// The field of the mount point in a line of `mountinfo`; proc(5).
    private static final int MOUNT_POINT_FIELD = 4;

    private final FuseMounts mounts;
    private final FileChannel lock;
    private final Path point;
    private final int uid;
    private final int gid;

    private BarMount(FuseMounts mounts, FileChannel lock, Path point) throws IOException {
        this.mounts = mounts;
        this.lock = lock;
        this.point = point;
        this.uid = (Integer) Files.getAttribute(point, "unix:uid");
        this.gid = (Integer) Files.getAttribute(point, "unix:gid");
    }

    /// Takes a folder, and detaches what a dead process left there.
    ///
    /// @throws MdevException EBUSY if another process uses it, EIO if it cannot be used
    static BarMount take(FuseMounts mounts, Path folder) {
        try {
            Files.createDirectories(folder);
            Path directory = folder.toRealPath();
            FileChannel lock = lock(directory);
            try {
                Path point = directory.resolve("bars");
                detachStale(mounts, point);
                if (!Files.isDirectory(point)) {
                    Files.createDirectory(
                            point,
                            PosixFilePermissions.asFileAttribute(
                                    PosixFilePermissions.fromString("rwx------")));
                }
                return new BarMount(mounts, lock, point);
            } catch (IOException | RuntimeException | Error e) {
                lock.close();
                throw e;
            }
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "folder=%s: %s".formatted(folder, e), e);
        }
    }

    private static FileChannel lock(Path directory) throws IOException {
        FileChannel channel =
                FileChannel.open(
                        directory.resolve("bars.lock"),
                        StandardOpenOption.CREATE,
                        StandardOpenOption.WRITE);
        try {
            if (channel.tryLock() != null) {
                return channel;
            }
        } catch (OverlappingFileLockException _) {
            // This process has it: the same answer.
        } catch (IOException | RuntimeException | Error e) {
            channel.close();
            throw e;
        }
        channel.close();
        throw new MdevException(Errno.EBUSY, "in use by a process: folder=" + directory);
    }

    private static void detachStale(FuseMounts mounts, Path point) throws IOException {
        for (String line : Files.readAllLines(MOUNTS)) {
            List<String> fields = List.of(line.split(" "));
            if (fields.size() > MOUNT_POINT_FIELD
                    && unescaped(fields.get(MOUNT_POINT_FIELD)).equals(point.toString())) {
                var _ = mounts.unmount(point);
            }
        }
    }

    /// The kernel writes white space and backslashes in octal.
    private static String unescaped(String field) {
        return field.replace("\\040", " ")
                .replace("\\011", "\t")
                .replace("\\012", "\n")
                .replace("\\134", "\\");
    }

    /// The user that owns the files.
    int uid() {
        return uid;
    }

    int gid() {
        return gid;
    }

    Path point() {
        return point;
    }

    /// Mounts the file system.
    ///
    /// @return the file of requests
    /// @throws MdevException EPERM without the right to mount
    NativeFd mount() {
        return mounts.mount(point, uid, gid);
    }

    /// Ends the file system: waiting requests fail, and so do all later ones.
    ///
    /// @param device its device number
    void unmount(long device) {
        boolean ended;
        try {
            ended = mounts.unmount(point);
        } catch (MdevException e) {
            // Someone else has unmounted it, and clients keep it alive.
            try {
                abort(device);
            } catch (IOException failed) {
                e.addSuppressed(failed);
                throw e;
            }
            return;
        }
        if (!ended) {
            try {
                abort(device);
            } catch (NoSuchFileException _) {
                // No client keeps it alive; or this machine has no file to say so.
            } catch (IOException e) {
                throw new MdevException(Errno.EIO, "clients keep the files of " + point, e);
            }
        }
    }

    private static void abort(long device) throws IOException {
        Files.writeString(abortFile(device), "1", StandardOpenOption.WRITE);
    }

    private static Path abortFile(long device) {
        long low = 0xff;
        long minor = (device & low) | ((device >> HIGH_MINOR_SHIFT) & ~low);
        return CONNECTIONS.resolve(minor + "/abort");
    }

    /// Leaves the folder to other processes.
    @Override
    public void close() {
        try {
            Files.deleteIfExists(point);
            lock.close();
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "folder of " + point, e);
        }
    }
}
