package dev.mdev.host;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.US_ASCII;

import dev.mdev.gate.Deadlines;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// Unmodified QEMU, with a Debian kernel in it and a shell on its serial port.
///
/// QEMU and the kernel are those of the folder that `.ci/qemu` makes, which the environment's
/// `MDEV_QEMU` names.
final class QemuGuest implements AutoCloseable {
    /// The condition of the tests that need one.
    static final String FOLDER = "MDEV_QEMU";

    static final String NO_FOLDER =
            "no QEMU with a vfio-user client: MDEV_QEMU does not name the folder of .ci/qemu";

    private static final long RAM_MIB = 256;
    private static final String KERNEL_OPTIONS =
            "console=ttyS0 quiet panic=-1 intel_iommu=on vt.global_cursor_default=0";

    private final Process process;
    private final BufferedReader output;
    private final Path log;

    private QemuGuest(Process process, Path log) {
        this.process = process;
        this.log = log;
        this.output = process.inputReader(ISO_8859_1);
    }

    /// Boots a guest, and returns when its shell is ready.
    ///
    /// @param folder of its log
    /// @param program a file that becomes `/bin/gpu` in the guest
    /// @param line the command that the service tells an operator to paste
    /// @param options further options of QEMU
    static QemuGuest boot(Path folder, Path program, String line, String options)
            throws IOException {
        Path log = Files.createTempFile(folder, "qemu", ".log");
        QemuGuest guest = new QemuGuest(launch(program, line, options, log), log);
        try {
            guest.readUntil("#READY");
        } catch (Throwable e) {
            guest.close();
            throw e;
        }
        return guest;
    }

    /// Starts QEMU; otherwise as [#boot].
    ///
    /// @param log for its messages; beside it comes the guest's initial file system
    static Process launch(Path program, String line, String options, Path log) throws IOException {
        Path made = Path.of(Objects.requireNonNull(System.getenv(FOLDER), NO_FOLDER));
        Path initrd = Path.of(log + ".initrd");
        ByteArrayOutputStream both = new ByteArrayOutputStream();
        both.write(Files.readAllBytes(made.resolve("initrd.gz")));
        pad(both);
        both.write(archive("bin/gpu", program));
        Files.write(initrd, both.toByteArray());
        // A host with KVM of the usual kind has no reason to change the line.
        String here =
                line.strip()
                        .replace(
                                "qemu-system-x86_64 -accel kvm -cpu host",
                                made.resolve("qemu") + " -accel tcg -cpu max")
                        .replace("4G", RAM_MIB + "M");
        // It ends by itself if this process is killed.
        String command =
                """
                exec setpriv --pdeathsig KILL %s -nodefaults -no-reboot -display none \\
                    -serial stdio -kernel %s -initrd %s %s -append '%s'
                """
                        .formatted(here, made.resolve("vmlinuz"), initrd, options, KERNEL_OPTIONS);
        return new ProcessBuilder("bash", "-c", command).redirectError(log.toFile()).start();
    }

    /// Runs a command of its shell, on one line.
    ///
    /// @return its output without the last line's end
    /// @throws AssertionError if the command fails, or QEMU ends
    String run(String command) throws IOException {
        send(command);
        return await();
    }

    /// Starts a command, whose output [#await] reads.
    void send(String command) throws IOException {
        OutputStream in = process.getOutputStream();
        in.write((command + "\n").getBytes(US_ASCII));
        in.flush();
    }

    /// Waits for the command that [#send] started; otherwise as [#run].
    String await() throws IOException {
        StringBuilder text = new StringBuilder();
        String end = readUntil("#END", text);
        if (!end.equals("#END 0")) {
            throw new AssertionError(end + "\n" + text + messages());
        }
        return text.toString().strip();
    }

    private void readUntil(String mark) throws IOException {
        readUntil(mark, new StringBuilder());
    }

    private String readUntil(String mark, StringBuilder text) throws IOException {
        while (true) {
            String line = output.readLine();
            if (line == null) {
                throw new AssertionError(
                        "QEMU ended%n%s%n%s".formatted(text, Files.readString(log)));
            }
            if (line.startsWith(mark)) {
                return line.strip();
            }
            text.append(line).append('\n');
        }
    }

    /// Its process.
    Process process() {
        return process;
    }

    /// What QEMU printed on its standard error.
    String messages() throws IOException {
        return Files.readString(log);
    }

    /// Kills QEMU as a crash does, and waits until it is gone.
    @Override
    public void close() {
        process.destroyForcibly();
        try {
            if (!process.waitFor(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)) {
                throw new AssertionError("QEMU does not end");
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /// Compiles the program that runs in the guest.
    static Path compile(Path folder) throws IOException, InterruptedException {
        Path source = folder.resolve("gpu.c");
        try (var in = QemuGuest.class.getResourceAsStream("/guest/gpu.c")) {
            Files.write(source, Objects.requireNonNull(in).readAllBytes());
        }
        Path program = folder.resolve("gpu");
        Process compiler =
                new ProcessBuilder(
                                "cc",
                                "-static",
                                "-Os",
                                "-Wall",
                                "-o",
                                program.toString(),
                                source.toString())
                        .redirectErrorStream(true)
                        .start();
        try (BufferedReader out = compiler.inputReader()) {
            String said = String.join("\n", out.lines().toList());
            if (compiler.waitFor() != 0) {
                throw new AssertionError(said);
            }
        }
        return program;
    }

    /// A file as an archive that the kernel unpacks after the one before it (cpio, "newc").
    private static byte[] archive(String name, Path file) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        entry(out, name, 0100755, Files.readAllBytes(file));
        entry(out, "TRAILER!!!", 0, new byte[0]);
        return out.toByteArray();
    }

    private static void entry(ByteArrayOutputStream out, String name, int mode, byte[] content)
            throws IOException {
        // inode, mode, uid, gid, links, time, size, device, rdevice, bytes of the name, checksum
        long[] fields = {1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length() + 1, 0};
        StringBuilder head = new StringBuilder("070701");
        for (long field : fields) {
            head.append("%08X".formatted(field));
        }
        out.write((head + name + "\0").getBytes(US_ASCII));
        pad(out);
        out.write(content);
        pad(out);
    }

    private static void pad(ByteArrayOutputStream out) {
        while (out.size() % 4 != 0) {
            out.write(0);
        }
    }
}
