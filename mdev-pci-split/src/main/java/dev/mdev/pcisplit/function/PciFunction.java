package dev.mdev.pcisplit.function;

import dev.mdev.api.Errno;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// A PCI function as Linux shows it in `/sys/bus/pci/devices` (the kernel's
/// `Documentation/ABI/testing/sysfs-bus-pci`).
///
/// Every method reads the files anew: the function may change or vanish at any moment. A file that
/// is missing, unreadable or without sense is an EIO that names it; ENODEV if the function is not
/// there. Any thread may call all methods.
public final class PciFunction {
    /// The largest attribute: configuration space.
    private static final int MAX_BYTES = 4096;

    private static final int BARS = 6;
    private static final long IORESOURCE_MEM = 0x200;

    private final Path folder;
    private final String address;

    /// @param sysfs where sysfs is mounted
    /// @param address such as `0000:65:00.0`
    public PciFunction(Path sysfs, String address) {
        this.folder = sysfs.resolve("bus/pci/devices").resolve(address);
        this.address = address;
    }

    public String address() {
        return address;
    }

    /// Its folder in sysfs.
    public Path folder() {
        return folder;
    }

    /// Whether it is on the bus.
    public boolean isThere() {
        return Files.isDirectory(folder);
    }

    /// One of its BARs.
    ///
    /// @param startBytes its physical address
    /// @param isMemory whether it is memory; else it is I/O ports
    public record Bar(int index, long startBytes, long sizeBytes, boolean isMemory) {}

    /// The BARs that it has.
    public List<Bar> bars() {
        String[] lines = text("resource").split("\n", -1);
        if (lines.length < BARS) {
            throw senseless("resource");
        }
        List<Bar> bars = new ArrayList<>();
        for (int index = 0; index < BARS; index++) {
            String[] words = lines[index].strip().split(" ", -1);
            if (words.length != 3) {
                throw senseless("resource");
            }
            long start = hex("resource", words[0]);
            long end = hex("resource", words[1]);
            long flags = hex("resource", words[2]);
            if (flags != 0 && end > start) {
                bars.add(new Bar(index, start, end - start + 1, (flags & IORESOURCE_MEM) != 0));
            }
        }
        return bars;
    }

    /// One of its BARs.
    public Optional<Bar> bar(int index) {
        return bars().stream().filter(bar -> bar.index() == index).findFirst();
    }

    /// The file that shows a BAR.
    ///
    /// @param combinesWrites whether the processor may combine writes
    public Path file(int bar, boolean combinesWrites) {
        return folder.resolve("resource" + bar + (combinesWrites ? "_wc" : ""));
    }

    /// Pages of a BAR.
    public FilePages pages(int bar, boolean combinesWrites, long offsetBytes, long sizeBytes) {
        return new FilePages(
                file(bar, combinesWrites),
                offsetBytes,
                Page.countFor(sizeBytes),
                combinesWrites ? Caching.WRITE_COMBINING : Caching.UNCACHED);
    }

    /// What its configuration space says it is.
    public PciIdentity identity() {
        return new PciIdentity(
                number("vendor", 16),
                number("device", 16),
                number("class", 24),
                number("revision", 8),
                number("subsystem_vendor", 16),
                number("subsystem_device", 16));
    }

    /// The kernel driver that it is bound to.
    public Optional<String> driver() {
        return linkName("driver");
    }

    /// The name of the file below `/dev` that tells of its interrupts, such as `uio0`, if it is
    /// bound to the kernel's `uio_pci_generic`.
    public Optional<String> uio() {
        return driver().equals(Optional.of("uio_pci_generic"))
                ? names("uio").stream().findFirst()
                : Optional.empty();
    }

    /// The names of its files below `/dev/vfio/devices`, if it is bound to a driver of VFIO and the
    /// kernel has such files.
    List<String> vfioDevices() {
        return Files.isDirectory(folder.resolve("vfio-dev")) ? names("vfio-dev") : List.of();
    }

    private List<String> names(String name) {
        try (Stream<Path> files = Files.list(folder.resolve(name))) {
            return files.map(file -> String.valueOf(file.getFileName())).sorted().toList();
        } catch (IOException e) {
            throw unreadable(name, e);
        }
    }

    /// The number of its IOMMU group, if there is an IOMMU.
    public Optional<String> iommuGroup() {
        return linkName("iommu_group");
    }

    private Optional<String> linkName(String name) {
        Path link = folder.resolve(name);
        try {
            return Files.isSymbolicLink(link)
                    ? Optional.of(String.valueOf(Files.readSymbolicLink(link).getFileName()))
                    : Optional.empty();
        } catch (IOException e) {
            throw unreadable(name, e);
        }
    }

    /// Whether the host's display is on it: firmware began with it, of which only VGA controllers
    /// tell, or the kernel draws into the memory that firmware set up (Linux
    /// `drivers/firmware/sysfb.c`).
    public boolean isHostDisplay() {
        return (has("boot_vga") && text("boot_vga").strip().equals("1"))
                || names("").stream().anyMatch(name -> name.contains("-framebuffer."));
    }

    /// Whether the kernel can reset it alone.
    public boolean canReset() {
        return has("reset");
    }

    private boolean has(String name) {
        return Files.exists(folder.resolve(name));
    }

    /// Its configuration space, as far as the kernel shows it to this process.
    public ConfigSpace config() {
        return new ConfigSpace(bytes("config"));
    }

    /// Why the function does not answer, or nothing if it does. A function that was unplugged reads
    /// as all ones until the kernel notices.
    public Optional<String> silence() {
        if (!isThere()) {
            return Optional.of("it left the bus");
        }
        try {
            return config().isAllOnes()
                    ? Optional.of("it does not answer: it reads as all ones")
                    : Optional.empty();
        } catch (MdevException e) {
            return Optional.of(isThere() ? String.valueOf(e.getMessage()) : "it left the bus");
        }
    }

    /// Lets it decode accesses to its memory; bus mastering stays as it is. A function without a
    /// driver is enabled by the kernel, any other by its command register.
    public void enable() {
        if (config().decodesMemory()) {
            return;
        }
        if (driver().isEmpty() && has("enable")) {
            write("enable", "1".getBytes(StandardCharsets.US_ASCII), 0);
        } else {
            write("config", config().commandWithMemory(), ConfigSpace.COMMAND);
        }
    }

    /// Lets it assert its interrupt line, which the kernel has masked when it told of an interrupt.
    void unmaskLine() {
        write("config", config().commandWithLine(), ConfigSpace.COMMAND);
    }

    /// Resets it, as the kernel finds best: a function level reset, where the function has one.
    public void reset() {
        write("reset", "1".getBytes(StandardCharsets.US_ASCII), 0);
    }

    private void write(String name, byte[] content, long offsetBytes) {
        try (var channel = Files.newByteChannel(folder.resolve(name), StandardOpenOption.WRITE)) {
            channel.position(offsetBytes);
            channel.write(ByteBuffer.wrap(content));
        } catch (IOException e) {
            throw new MdevException(
                    errno(), "function %s: cannot write %s: %s".formatted(address, name, e), e);
        }
    }

    private int number(String name, int bits) {
        long value = hex(name, text(name).strip());
        if (value >>> bits != 0) {
            throw senseless(name);
        }
        return (int) value;
    }

    private long hex(String name, String text) {
        try {
            if (text.startsWith("0x")) {
                return HexFormat.fromHexDigitsToLong(text.substring(2));
            }
        } catch (IllegalArgumentException e) {
            // Falls through: the same message covers a text without a prefix.
        }
        throw senseless(name);
    }

    private String text(String name) {
        return new String(bytes(name), StandardCharsets.US_ASCII);
    }

    /// A file that is no regular one could block, or be endless.
    private byte[] bytes(String name) {
        Path file = folder.resolve(name);
        if (!Files.isRegularFile(file)) {
            throw new MdevException(
                    errno(), "function %s has no regular file %s".formatted(address, name));
        }
        try (InputStream in = Files.newInputStream(file)) {
            return in.readNBytes(MAX_BYTES);
        } catch (IOException e) {
            throw unreadable(name, e);
        }
    }

    private MdevException unreadable(String name, IOException e) {
        return new MdevException(
                errno(), "function %s: cannot read %s: %s".formatted(address, name, e), e);
    }

    private MdevException senseless(String name) {
        return new MdevException(
                errno(), "function %s: file %s makes no sense".formatted(address, name));
    }

    private Errno errno() {
        return isThere() ? Errno.EIO : Errno.ENODEV;
    }
}
