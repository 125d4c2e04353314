package dev.mdev.deb;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;

import dev.mdev.gate.Deadlines;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// A small Debian in a folder, with this machine's Java in it.
final class Chroot implements AutoCloseable {
    private static final String JAVA = "usr/lib/jvm/java-25";
    private static final String SECONDS = "1800";

    private final Path root;
    private final List<Path> mounts = new ArrayList<>();

    private Chroot(Path root) {
        this.root = root;
    }

    /// Makes one, from the archive at an address.
    ///
    /// @param more names of packages beside the smallest set, with commas between; at least one
    static Chroot make(Path root, String mirror, String more) throws IOException {
        host(
                "debootstrap",
                "--variant=minbase",
                "--include=" + more,
                "bookworm",
                root.toString(),
                mirror);
        Chroot chroot = new Chroot(root);
        try {
            chroot.mount("--bind", System.getProperty("java.home"), JAVA);
            chroot.mount("-t", "proc", "proc", "proc");
            return chroot;
        } catch (IOException | AssertionError e) {
            chroot.close();
            throw e;
        }
    }

    private void mount(String how, String what, String where) throws IOException {
        Path target = Files.createDirectories(root.resolve(where));
        host("mount", how, what, target.toString());
        mounts.add(target);
    }

    private void mount(String how, String type, String what, String where) throws IOException {
        Path target = Files.createDirectories(root.resolve(where));
        host("mount", how, type, what, target.toString());
        mounts.add(target);
    }

    /// The folder with all its files.
    Path root() {
        return root;
    }

    Path path(String absolute) {
        return root.resolve(absolute.substring(1));
    }

    /// Runs a command line of a shell in it, which must succeed, and returns its output.
    String run(String line) throws IOException {
        return host("chroot", root.toString(), "/bin/sh", "-c", line);
    }

    /// Starts a command line of a shell in it.
    Process start(String line) throws IOException {
        return new ProcessBuilder("chroot", root.toString(), "/bin/sh", "-c", "exec " + line)
                .redirectErrorStream(true)
                .redirectOutput(path("/tmp/out").toFile())
                .start();
    }

    /// Runs a command of this machine, which must succeed, and returns its output.
    static String host(String... command) throws IOException {
        List<String> bounded = new ArrayList<>(List.of("timeout", SECONDS));
        bounded.addAll(List.of(command));
        ProcessBuilder builder = new ProcessBuilder(bounded).redirectErrorStream(true);
        builder.environment().put("DEBIAN_FRONTEND", "noninteractive");
        builder.environment().put("LC_ALL", "C.UTF-8");
        // Without the command line's cache, which would be in this user's home.
        builder.environment().put("MDEV_CACHE", "no");
        builder.environment()
                .put("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), UTF_8);
        assertThat(exitOf(process)).as("%s: %s", String.join(" ", command), output).isZero();
        return output;
    }

    static int exitOf(Process process) {
        try {
            assertThat(process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
            return process.exitValue();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException(e);
        }
    }

    @Override
    public void close() throws IOException {
        for (Path mounted : mounts.reversed()) {
            host("umount", mounted.toString());
        }
        mounts.clear();
    }
}
