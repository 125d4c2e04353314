package dev.mdev.core.engine.barfile;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sys.HelperProgram;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/// By `fusermount3`, which runs as root and mounts for any user, on folders that the user may write
/// to. It opens `/dev/fuse`, and sends the descriptor over a socket (libfuse, `util/fusermount.c`).
record FusermountMounts(Syscalls sys, Path program) implements FuseMounts {
    private static final String SOCKET_VARIABLE = "_FUSE_COMMFD";
    private static final Duration LIMIT = Duration.ofSeconds(20);

    /// Without the user's environment: its messages are English then.
    private static final List<String> ENVIRONMENT = List.of("PATH=/usr/sbin:/usr/bin:/sbin:/bin");

    @Override
    public NativeFd mount(Path point, int uid, int gid) {
        String options =
                "fsname=%s,subtype=%s,nosuid,nodev,noexec,default_permissions"
                        .formatted(SOURCE, SUBTYPE);
        HelperProgram.Result result = run("-o", options, "--", point.toString());
        NativeFd fd = result.fd();
        if (result.status() == 0 && fd != null) {
            return fd;
        }
        result.discard();
        throw failure(result);
    }

    @Override
    public boolean unmount(Path point) {
        HelperProgram.Result result = run("-u", "-z", "--", point.toString());
        result.discard();
        if (result.status() != 0) {
            throw failure(result);
        }
        return false;
    }

    private HelperProgram.Result run(String... arguments) {
        return HelperProgram.run(
                sys, program, List.of(arguments), SOCKET_VARIABLE, ENVIRONMENT, LIMIT);
    }

    private MdevException failure(HelperProgram.Result result) {
        return new MdevException(
                Errno.EPERM,
                "%s status=%d: %s".formatted(program, result.status(), result.message()));
    }
}
