package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
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
    static final String DEVICE = "/dev/fuse";

    private static final Path MOUNTS = Path.of("/proc/self/mountinfo");
    private static final Path CONNECTIONS = Path.of("/sys/fs/fuse/connections");
    private static final String SOURCE = "mdev-bars";
    private static final String TYPE = "fuse.mdev";

    /// Where a device number has the high bits of its minor number (Linux `new_encode_dev`).
    private static final int HIGH_MINOR_SHIFT = 12;

    /// The field of the mount point in a line of `mountinfo`; proc(5).
    private static final int MOUNT_POINT_FIELD = 4;

    private final Syscalls sys;
    private final FileChannel lock;
    private final Path point;
    private final int uid;
    private final int gid;

    private BarMount(Syscalls sys, FileChannel lock, Path point) throws IOException {
        this.sys = sys;
        this.lock = lock;
        this.point = point;
        this.uid = (Integer) Files.getAttribute(point, "unix:uid");
        this.gid = (Integer) Files.getAttribute(point, "unix:gid");
    }

    /// Takes a folder, and detaches what a dead process left there.
    ///
    /// @throws MdevException EBUSY if another process uses it, EIO if it cannot be used
    static BarMount take(Syscalls sys, Path folder) {
        try {
            Files.createDirectories(folder);
            Path directory = folder.toRealPath();
            FileChannel lock = lock(directory);
            try {
                Path point = directory.resolve("bars");
                detachStale(sys, point);
                if (!Files.isDirectory(point)) {
                    Files.createDirectory(
                            point,
                            PosixFilePermissions.asFileAttribute(
                                    PosixFilePermissions.fromString("rwx------")));
                }
                return new BarMount(sys, lock, point);
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

    private static void detachStale(Syscalls sys, Path point) throws IOException {
        for (String line : Files.readAllLines(MOUNTS)) {
            List<String> fields = List.of(line.split(" "));
            if (fields.size() > MOUNT_POINT_FIELD
                    && unescaped(fields.get(MOUNT_POINT_FIELD)).equals(point.toString())) {
                sys.unmount(point.toString(), LinuxAbi.MNT_DETACH);
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
        NativeFd fd = sys.open(DEVICE, LinuxAbi.O_RDWR);
        try {
            sys.mount(
                    SOURCE,
                    point.toString(),
                    TYPE,
                    LinuxAbi.MS_NOSUID | LinuxAbi.MS_NODEV | LinuxAbi.MS_NOEXEC,
                    "fd=%d,rootmode=40700,user_id=%d,group_id=%d,default_permissions"
                            .formatted(fd.number(), uid, gid));
            return fd;
        } catch (RuntimeException | Error e) {
            fd.close();
            throw e;
        }
    }

    /// Ends the file system: waiting requests fail, and so do all later ones.
    ///
    /// @param device its device number
    void unmount(long device) {
        try {
            sys.unmount(point.toString(), LinuxAbi.MNT_FORCE | LinuxAbi.MNT_DETACH);
        } catch (MdevException e) {
            // Someone else has unmounted it, and clients keep it alive.
            abort(device, e);
        }
    }

    private static void abort(long device, MdevException cause) {
        long low = 0xff;
        long minor = (device & low) | ((device >> HIGH_MINOR_SHIFT) & ~low);
        try {
            Files.writeString(CONNECTIONS.resolve(minor + "/abort"), "1");
        } catch (IOException e) {
            cause.addSuppressed(e);
            throw cause;
        }
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
