package dev.mdev.core.engine.barfile;

import dev.mdev.core.engine.EngineProbe.Finding;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// By which right this process mounts: its own, or that of `fusermount3`.
///
/// @param own whether it has CAP_SYS_ADMIN
/// @param privileges whether a program that it starts may have more rights than it has
/// @param shown the lines of `/proc/self/status` that say so
/// @param helper the program, if it is there and has the right
record MountRights(boolean own, boolean privileges, String shown, Optional<Path> helper) {
    private static final Path STATUS = Path.of("/proc/self/status");
    private static final String NAME = "fusermount3";
    private static final List<Path> FOLDERS = List.of(Path.of("/usr/bin"), Path.of("/bin"));
    private static final int CAP_SYS_ADMIN = 21;
    private static final int SET_USER_ID = 04000;

    /// Those of this process.
    static MountRights ofThisProcess() {
        return of(statusLines(), helperIn(FOLDERS));
    }

    /// @param status lines of `/proc/self/status`
    static MountRights of(List<String> status, Optional<Path> helper) {
        Map<String, String> fields =
                status.stream()
                        .map(line -> line.split(":", 2))
                        .filter(parts -> parts.length == 2)
                        .collect(
                                Collectors.toMap(
                                        parts -> parts[0], parts -> parts[1].strip(), (a, _) -> a));
        String shown =
                Stream.of("CapEff", "CapBnd", "NoNewPrivs")
                        .map(name -> name + "=" + fields.getOrDefault(name, "?"))
                        .collect(Collectors.joining(" "));
        return new MountRights(
                hasSysAdmin(fields.get("CapEff")),
                hasSysAdmin(fields.get("CapBnd")) && "0".equals(fields.get("NoNewPrivs")),
                shown,
                helper);
    }

    private static boolean hasSysAdmin(@Nullable String hex) {
        try {
            return hex != null && (Long.parseUnsignedLong(hex, 16) & (1L << CAP_SYS_ADMIN)) != 0;
        } catch (NumberFormatException _) {
            return false;
        }
    }

    private static List<String> statusLines() {
        try {
            return Files.readAllLines(STATUS);
        } catch (IOException _) {
            // Then it shows no right.
            return List.of();
        }
    }

    /// The first program that runs as root.
    static Optional<Path> helperIn(List<Path> folders) {
        return folders.stream()
                .map(folder -> folder.resolve(NAME))
                .filter(MountRights::runsAsRoot)
                .findFirst();
    }

    private static boolean runsAsRoot(Path program) {
        try {
            int mode = (Integer) Files.getAttribute(program, "unix:mode");
            return Files.isExecutable(program)
                    && (mode & SET_USER_ID) != 0
                    && (Integer) Files.getAttribute(program, "unix:uid") == 0;
        } catch (IOException | UnsupportedOperationException _) {
            return false;
        }
    }

    /// Whether it can mount.
    boolean suffice() {
        return own || (privileges && helper.isPresent());
    }

    /// How this process mounts. Without a right, the kernel's refusal says so.
    FuseMounts mounts(Syscalls sys) {
        return own || !suffice()
                ? new KernelMounts(sys)
                : new FusermountMounts(sys, helper.orElseThrow());
    }

    /// What the doctor says.
    Finding finding() {
        String detail = shown + " " + NAME + "=" + helper.map(Path::toString).orElse("none");
        return new Finding(
                "the right to mount: CAP_SYS_ADMIN, or " + NAME, suffice(), detail, remedy());
    }

    private String remedy() {
        if (suffice()) {
            return "";
        }
        return privileges
                ? "install the package fuse3, or run the service with CAP_SYS_ADMIN"
                : "run the service with CAP_SYS_ADMIN; or let it start "
                        + NAME
                        + " as root: without NoNewPrivileges, and with CAP_SYS_ADMIN in its"
                        + " bounding set";
    }
}
