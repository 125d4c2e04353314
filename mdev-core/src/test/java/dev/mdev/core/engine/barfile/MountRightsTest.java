package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Optional;

/// By which right a process mounts, as the kernel shows its rights.
class MountRightsTest {
    private static final String ALL = "000001ffffffffff";
    private static final String NONE = "0000000000000000";
    private static final Optional<Path> HELPER = Optional.of(Path.of("/usr/bin/fusermount3"));

    @TempDir Path folder;

    private static MountRights rights(
            String effective, String bounding, String noNewPrivileges, Optional<Path> helper) {
        return MountRights.of(
                List.of(
                        "Name:\tjava",
                        "CapEff:\t" + effective,
                        "CapBnd:\t" + bounding,
                        "NoNewPrivs:\t" + noNewPrivileges),
                helper);
    }

    @Test
    void aProcessWithTheRightMountsItself() {
        MountRights rights = rights(ALL, ALL, "0", HELPER);

        assertThat(rights.mounts(Syscalls.ofThisProcess())).isInstanceOf(KernelMounts.class);
        assertThat(rights.finding().met()).isTrue();
        assertThat(rights.finding().remedy()).isEmpty();
    }

    @Test
    void aUserMountsWithTheHelper() {
        MountRights rights = rights(NONE, ALL, "0", HELPER);

        assertThat(rights.mounts(Syscalls.ofThisProcess())).isInstanceOf(FusermountMounts.class);
        assertThat(rights.finding().met()).isTrue();
    }

    @Test
    void theDoctorNamesThePackageThatIsMissing() {
        MountRights rights = rights(NONE, ALL, "0", Optional.empty());

        assertThat(rights.finding().met()).isFalse();
        assertThat(rights.finding().remedy()).contains("fuse3");
        assertThat(rights.mounts(Syscalls.ofThisProcess())).isInstanceOf(KernelMounts.class);
    }

    @Test
    void aHelperThatMayNotRunAsRootIsNoHelp() {
        for (MountRights rights :
                List.of(
                        rights(NONE, NONE, "0", HELPER),
                        rights(NONE, ALL, "1", HELPER),
                        MountRights.of(List.of(), HELPER))) {
            assertThat(rights.finding().met()).isFalse();
            assertThat(rights.finding().remedy()).contains("NoNewPrivileges", "bounding set");
        }
    }

    @Test
    void aProgramThatDoesNotRunAsRootIsNoHelper() throws Exception {
        Files.createFile(
                folder.resolve("fusermount3"),
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));

        assertThat(MountRights.helperIn(List.of(folder, folder.resolve("none")))).isEmpty();
    }
}
