package dev.mdev.pcisplit;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// The PCI functions of the box, which its QEMU emulates, and the monitor of that QEMU.
final class BoxFunctions {
    static final Path SYSFS = Path.of("/sys");

    private static final Path DEVICES = SYSFS.resolve("bus/pci/devices");
    private static final Path PORTS = SYSFS.resolve("class/virtio-ports");

    private BoxFunctions() {}

    /// The addresses of the functions of one kind, ascending.
    ///
    /// @param ids such as `0x1af4 0x1110`
    static List<String> of(String ids) {
        return childrenOf(DEVICES)
                .filter(folder ->
                        (word(folder.resolve("vendor")) + " " + word(folder.resolve("device")))
                                .equals(ids))
                .map(folder -> String.valueOf(folder.getFileName()))
                .sorted()
                .toList();
    }

    /// Takes a device away, and returns when it is gone: QEMU asks, the kernel lets go, and QEMU
    /// tells of the end.
    static void unplug(String qemuId) {
        try (RandomAccessFile monitor = open()) {
            execute(monitor, "device_del", "{\"id\":\"" + qemuId + "\"}");
            var _ = lineWith(monitor, "DEVICE_DELETED");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static RandomAccessFile open() throws IOException {
        RandomAccessFile monitor = new RandomAccessFile(monitorPort().toFile(), "rw");
        try {
            execute(monitor, "qmp_capabilities", "{}");
            return monitor;
        } catch (IOException | RuntimeException e) {
            monitor.close();
            throw e;
        }
    }

    /// Sends a command, and waits for its answer.
    private static void execute(RandomAccessFile monitor, String command, String arguments)
            throws IOException {
        String id = command + "-" + System.nanoTime();
        send(
                monitor,
                "{\"execute\":\"%s\",\"arguments\":%s,\"id\":\"%s\"}"
                        .formatted(command, arguments, id));
        String answer = lineWith(monitor, "\"id\": \"" + id + "\"");
        // After the first conversation, the monitor has its capabilities.
        if (!answer.contains("\"return\"") && !answer.contains("CommandNotFound")) {
            throw new IllegalStateException(answer);
        }
    }

    private static void send(RandomAccessFile monitor, String line) throws IOException {
        monitor.write((line + "\n").getBytes(StandardCharsets.US_ASCII));
    }

    /// Reads up to a line that contains a text. The port cannot seek, as
    /// [RandomAccessFile#readLine] does.
    private static String lineWith(RandomAccessFile monitor, String text) throws IOException {
        StringBuilder line = new StringBuilder();
        while (true) {
            int octet = monitor.read();
            if (octet < 0) {
                throw new IOException("the monitor is closed");
            }
            line.append((char) octet);
            if (octet == '\n') {
                if (line.indexOf(text) >= 0) {
                    return line.toString();
                }
                line.setLength(0);
            }
        }
    }

    private static Path monitorPort() {
        return childrenOf(PORTS)
                .filter(port -> word(port.resolve("name")).equals("monitor"))
                .map(port -> Path.of("/dev").resolve(String.valueOf(port.getFileName())))
                .findFirst()
                .orElseThrow();
    }

    private static Stream<Path> childrenOf(Path folder) {
        try (Stream<Path> all = Files.list(folder)) {
            return all.toList().stream();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Empty if there is no such file.
    private static String word(Path file) {
        try {
            return Files.exists(file) ? Files.readString(file).strip() : "";
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
