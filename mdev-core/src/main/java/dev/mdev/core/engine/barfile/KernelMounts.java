package dev.mdev.core.engine.barfile;

import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.nio.file.Path;

/// By `mount(2)`, for a process that has the right.
record KernelMounts(Syscalls sys) implements FuseMounts {
    @Override
    public NativeFd mount(Path point, int uid, int gid) {
        NativeFd fd = sys.open(DEVICE, LinuxAbi.O_RDWR);
        try {
            sys.mount(
                    SOURCE,
                    point.toString(),
                    "fuse." + SUBTYPE,
                    LinuxAbi.MS_NOSUID | LinuxAbi.MS_NODEV | LinuxAbi.MS_NOEXEC,
                    "fd=%d,rootmode=40700,user_id=%d,group_id=%d,default_permissions"
                            .formatted(fd.number(), uid, gid));
            return fd;
        } catch (RuntimeException | Error e) {
            fd.close();
            throw e;
        }
    }

    @Override
    public boolean unmount(Path point) {
        sys.unmount(point.toString(), LinuxAbi.MNT_FORCE | LinuxAbi.MNT_DETACH);
        return true;
    }
}
