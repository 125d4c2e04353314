package dev.mdev.deb;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.Deadlines;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;

/// A Debian that has booted: its systemd is process 1 of namespaces of its own, with a network that
/// reaches nobody.
final class BootedDebian implements AutoCloseable {
    /// The way into the namespaces, up to systemd. `$1` is the folder, `$2` a control group.
    private static final String BOOT =
            """
            set -e
            mkdir "$2"
            echo $$ > "$2/cgroup.procs"
            exec unshare --mount --propagation private --pid --fork --kill-child \
                --uts --ipc --net --cgroup sh -ec '
                    mount -t proc proc "$1/proc"
                    mount -t sysfs -o ro sysfs "$1/sys"
                    mount -t cgroup2 cgroup2 "$1/sys/fs/cgroup"
                    mount -t tmpfs -o mode=755 tmpfs "$1/run"
                    mount -t tmpfs -o mode=755 tmpfs "$1/dev"
                    for node in null zero full random urandom tty; do
                        : >"$1/dev/$node"
                        mount --bind "/dev/$node" "$1/dev/$node"
                    done
                    ln -s /proc/self/fd "$1/dev/fd"
                    mkdir -m 1777 "$1/dev/shm"
                    mount --rbind "$1" "$1"
                    cd "$1"
                    mkdir -p old
                    pivot_root . old
                    umount -l /old
                    exec env -i container=mdev-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
                        /lib/systemd/systemd' sh "$1"
            """;

    private final Process unshare;
    private final ProcessHandle systemd;
    private final Path group;

    private BootedDebian(Process unshare, ProcessHandle systemd, Path group) {
        this.unshare = unshare;
        this.systemd = systemd;
        this.group = group;
    }

    /// Boots it. Files that were there before stay.
    ///
    /// @param groups where control groups are made, as [#controlGroups]
    static BootedDebian boot(Chroot debian, Path groups) throws IOException {
        Path log = debian.path("/tmp/boot.log");
        Path group = groups.resolve("mdev-test-" + ProcessHandle.current().pid());
        Process unshare =
                new ProcessBuilder(
                                "sh", "-c", BOOT, "sh", debian.root().toString(), group.toString())
                        .redirectErrorStream(true)
                        .redirectOutput(log.toFile())
                        .start();
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        while (unshare.isAlive() && System.nanoTime() - end < 0) {
            Optional<ProcessHandle> first =
                    unshare.children().filter(BootedDebian::isSystemd).findAny();
            if (first.isPresent()) {
                return new BootedDebian(unshare, first.get(), group).booted();
            }
            Thread.onSpinWait();
        }
        unshare.destroyForcibly();
        throw new AssertionError("it does not boot: " + Files.readString(log));
    }

    private static boolean isSystemd(ProcessHandle process) {
        return process.info().command().orElse("").endsWith("/systemd");
    }

    private BootedDebian booted() throws IOException {
        long end = System.nanoTime() + Deadlines.HANG.toNanos();
        String state = state();
        // At first nobody answers. It is `degraded` where a machine lacks what some unit wants.
        while (!List.of("running", "degraded").contains(state)) {
            if (System.nanoTime() - end > 0) {
                close();
                throw new AssertionError("it does not come up: " + state);
            }
            state = state();
        }
        return this;
    }

    private String state() throws IOException {
        return tryRun("systemctl is-system-running --wait").output.strip();
    }

    /// The folder of control groups of version 2, if this machine has one in which tests can make
    /// some, and lets them have namespaces.
    static Optional<Path> controlGroups() throws IOException {
        Optional<Path> groups =
                Files.readAllLines(Path.of("/proc/self/mounts")).stream()
                        .map(line -> List.of(line.split(" ", -1)))
                        .filter(fields -> fields.get(2).equals("cgroup2"))
                        .map(fields -> Path.of(fields.get(1)))
                        .findFirst();
        return groups.filter(BootedDebian::canBeUsed);
    }

    private static boolean canBeUsed(Path groups) {
        try {
            Path group = Files.createTempDirectory(groups, "mdev-test-");
            Files.delete(group);
            Process unshare =
                    new ProcessBuilder(
                                    "unshare",
                                    "--mount",
                                    "--pid",
                                    "--fork",
                                    "--uts",
                                    "--ipc",
                                    "--net",
                                    "--cgroup",
                                    "true")
                            .start();
            return Chroot.exitOf(unshare) == 0;
        } catch (IOException e) {
            return false;
        }
    }

    /// The end of a command.
    record Result(int code, String output) {}

    /// Runs a command line of a shell in it, as root.
    Result tryRun(String line) throws IOException {
        Process process =
                new ProcessBuilder(
                                "nsenter",
                                "--target=" + systemd.pid(),
                                "--mount",
                                "--pid",
                                "--uts",
                                "--ipc",
                                "--net",
                                "--cgroup",
                                "--root",
                                "--wd",
                                "/usr/bin/env",
                                "-i",
                                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                "LC_ALL=C.UTF-8",
                                "MDEV_CACHE=no",
                                "DEBIAN_FRONTEND=noninteractive",
                                "/bin/sh",
                                "-c",
                                line)
                        .redirectErrorStream(true)
                        .start();
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        return new Result(Chroot.exitOf(process), output);
    }

    /// The same for one that must succeed.
    ///
    /// @return its output
    String run(String line) throws IOException {
        Result result = tryRun(line);
        if (result.code != 0) {
            throw new AssertionError("%s: %s".formatted(line, result));
        }
        return result.output;
    }

    /// Ends everything in it: without process 1, the kernel ends all others.
    @Override
    public void close() throws IOException {
        systemd.destroyForcibly();
        try {
            if (!unshare.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)) {
                throw new AssertionError("it does not end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
        removeGroups(group);
    }

    private static void removeGroups(Path group) throws IOException {
        try (var inner = Files.list(group)) {
            for (Path folder : inner.filter(Files::isDirectory).toList()) {
                removeGroups(folder);
            }
        }
        Files.delete(group);
    }
}
