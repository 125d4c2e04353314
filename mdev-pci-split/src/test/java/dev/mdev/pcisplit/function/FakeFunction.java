package dev.mdev.pcisplit.function;

import dev.mdev.api.LinearMemory.Layouts;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.TreeMap;
import java.util.stream.Stream;

/// A function in plain files, laid out as sysfs lays one out.
public final class FakeFunction {
    /// Where tests put the function.
    public static final String ADDRESS = "0000:65:00.0";

    private static final long MEMORY = 0x40200;
    private static final long PORTS = 0x40101;
    private static final int CONFIG_BYTES = 256;
    private static final int NO_LINE = 0x400;

    private final Path root;
    private final Path folder;
    private final TreeMap<Integer, String> bars = new TreeMap<>();
    private final MemorySegment config = MemorySegment.ofArray(new byte[CONFIG_BYTES]);

    /// @param root an empty folder
    public FakeFunction(Path root) {
        this(root, ADDRESS);
    }

    public FakeFunction(Path root, String address) {
        this.root = root;
        this.folder = sysfs().resolve("bus/pci/devices").resolve(address);
        try {
            Files.createDirectories(folder);
            Files.createDirectories(proc());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        write("vendor", "0x10de\n");
        write("device", "0x2330\n");
        write("class", "0x030200\n");
        write("revision", "0xa1\n");
        write("subsystem_vendor", "0x10de\n");
        write("subsystem_device", "0x16c1\n");
        write("enable", "0\n");
        write("reset", "-\n");
        config.set(Layouts.INT, 0, 0x2330_10de);
        writeConfig();
        writeResources();
    }

    public Path sysfs() {
        return root.resolve("sys");
    }

    public Path proc() {
        return root.resolve("proc");
    }

    public Path dev() {
        return root.resolve("dev");
    }

    public Path file(String name) {
        return folder.resolve(name);
    }

    public PciFunction function() {
        return new PciFunction(sysfs(), String.valueOf(folder.getFileName()));
    }

    /// Adds a BAR of memory, with and without write-combining.
    public FakeFunction memory(int bar, long startBytes, long sizeBytes) {
        bars.put(bar, line(startBytes, sizeBytes, MEMORY));
        writeResources();
        resize(bar, sizeBytes);
        try {
            Files.createLink(file("resource" + bar + "_wc"), file("resource" + bar));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /// Adds a BAR of I/O ports.
    public FakeFunction ports(int bar) {
        bars.put(bar, line(0xc000, 0x100, PORTS));
        writeResources();
        return this;
    }

    private static String line(long startBytes, long sizeBytes, long flags) {
        return "0x%016x 0x%016x 0x%016x".formatted(startBytes, startBytes + sizeBytes - 1, flags);
    }

    private void writeResources() {
        StringBuilder text = new StringBuilder();
        for (int bar = 0; bar < 13; bar++) {
            text.append(bars.getOrDefault(bar, "0x%016x 0x%016x 0x%016x".formatted(0, 0, 0)))
                    .append('\n');
        }
        write("resource", text.toString());
    }

    /// Changes the length of a BAR's file: with 0, its memory is gone.
    public void resize(int bar, long sizeBytes) {
        try (RandomAccessFile file = new RandomAccessFile(file("resource" + bar).toFile(), "rw")) {
            file.setLength(sizeBytes);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Gives it MSI-X, whose tables are in a BAR.
    public FakeFunction msix(int bar, int tableOffset, int vectors) {
        config.set(Layouts.INT, 4, 0x0010_0000);
        config.set(Layouts.INT, 0x34, 0x50);
        config.set(Layouts.INT, 0x50, 0x11 | (vectors - 1) << 16);
        config.set(Layouts.INT, 0x54, tableOffset | bar);
        config.set(Layouts.INT, 0x58, tableOffset + 0x1000 | bar);
        writeConfig();
        return this;
    }

    private void writeConfig() {
        writeBytes("config", config.toArray(ValueLayout.JAVA_BYTE));
    }

    /// Lets configuration space read as all ones.
    public void silence() {
        config.fill((byte) -1);
        writeConfig();
    }

    /// Binds it to a driver of the kernel.
    public FakeFunction bind(String driver) {
        return link("driver", "../../drivers/" + driver);
    }

    /// Binds it to `uio_pci_generic`. Its line is masked.
    public FakeFunction bindUio() {
        var _ = bind("uio_pci_generic");
        try {
            Files.createDirectories(file("uio/uio0"));
            Files.createDirectories(dev());
            int code =
                    new ProcessBuilder("mkfifo", dev().resolve("uio0").toString())
                            .inheritIO()
                            .start()
                            .waitFor();
            if (code != 0) {
                throw new IllegalStateException("mkfifo: " + code);
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
        mask();
        return this;
    }

    private void mask() {
        config.set(Layouts.INT, 4, config.get(Layouts.INT, 4) | NO_LINE);
        writeConfig();
    }

    /// Whether the driver lets it interrupt.
    public boolean isUnmasked() {
        try {
            return (Files.readAllBytes(file("config"))[5] & NO_LINE >> Byte.SIZE) == 0;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// The kernel tells of an interrupt, with the line masked.
    public void interrupt() {
        mask();
        tell(Integer.BYTES);
    }

    /// The kernel cannot tell of interrupts any more.
    public void breakLine() {
        tell(1);
    }

    private void tell(int nbytes) {
        try (RandomAccessFile uio = new RandomAccessFile(dev().resolve("uio0").toFile(), "rw")) {
            uio.write(new byte[nbytes]);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public FakeFunction link(String name, String target) {
        try {
            Files.createSymbolicLink(file(name), Path.of(target));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return this;
    }

    /// Lets a process have a file open.
    public void open(int pid, String comm, Path file) {
        try {
            Path process = proc().resolve(Integer.toString(pid));
            Files.createDirectories(process.resolve("fd"));
            Files.writeString(process.resolve("comm"), comm + "\n");
            Files.createSymbolicLink(process.resolve("fd/7"), file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Takes it off the bus, as an unplug does: its memory is gone where it is mapped, too.
    public void unplug() {
        bars.keySet().forEach(bar -> resize(bar, 0));
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                Files.delete(file);
            }
            Files.delete(folder);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public String text(String name) {
        try {
            return Files.readString(file(name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public FakeFunction write(String name, String content) {
        writeBytes(name, content.getBytes(StandardCharsets.US_ASCII));
        return this;
    }

    private void writeBytes(String name, byte[] content) {
        try {
            Files.write(file(name), content);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    public void delete(String name) {
        try {
            Files.delete(file(name));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
