package dev.mdev.core.hostfile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.FilePages;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.JoinedBlocks;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.sys.FailingLibc;
import dev.mdev.core.sys.Syscalls;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// Files in place of BARs: one that is cut short is a function that was unplugged.
@EnabledOnOs(value = OS.LINUX, disabledReason = "system calls of Linux")
class DeviceFileTest {
    private static final int BAR_PAGES = 8;

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private @TempDir Path folder;
    private Path vram;
    private Path doorbells;

    @BeforeEach
    void makeBars() throws IOException {
        vram = folder.resolve("resource1");
        doorbells = folder.resolve("resource0");
        resize(vram, BAR_PAGES);
        resize(doorbells, BAR_PAGES);
    }

    private static void resize(Path file, int npages) throws IOException {
        try (RandomAccessFile bar = new RandomAccessFile(file.toFile(), "rw")) {
            bar.setLength(Page.bytesOf(npages));
        }
    }

    @AfterEach
    void close() {
        memory.close();
    }

    private JoinedBlocks open(FilePages... parts) {
        return new JoinedBlocks(
                memory.adoptAll("card", DeviceFile.open(Syscalls.ofThisProcess(), List.of(parts))));
    }

    private JoinedBlocks openBoth() {
        return open(
                new FilePages(vram, Page.bytesOf(2), 4),
                new FilePages(doorbells, Page.bytesOf(5), 1));
    }

    private static long numberAt(Path file, long offsetBytes) throws IOException {
        return MemorySegment.ofArray(Files.readAllBytes(file))
                .get(dev.mdev.api.LinearMemory.Layouts.LONG, offsetBytes);
    }

    @Test
    void theAperturesPagesAreThoseOfTheFilesInTheirOrder() throws IOException {
        JoinedBlocks aperture = openBoth();
        assertThat(aperture.pfns().npages()).isEqualTo(5);
        aperture.store(Page.bytesOf(3) + 8, 8, 0x1234);
        aperture.store(Page.bytesOf(4) + 16, 8, 0x5678);
        assertThat(numberAt(vram, Page.bytesOf(5) + 8)).isEqualTo(0x1234);
        assertThat(numberAt(doorbells, Page.bytesOf(5) + 16)).isEqualTo(0x5678);
        assertThat(aperture.load(Page.bytesOf(4) + 16, 2)).isEqualTo(0x5678);
    }

    @Test
    void aCopyOverTwoFilesTouchesNothingElse() throws IOException {
        JoinedBlocks aperture = openBoth();
        aperture.fill(Page.bytesOf(3) + 8, Page.SIZE, (byte) 0xee);
        byte[] read = new byte[Page.SIZE];
        aperture.read(Page.bytesOf(3) + 8, MemorySegment.ofArray(read));
        assertThat(read).containsOnly(0xee);
        assertThat(count(vram, (byte) 0xee)).isEqualTo(Page.SIZE - 8);
        assertThat(count(doorbells, (byte) 0xee)).isEqualTo(8);
    }

    private static long count(Path file, byte value) throws IOException {
        long found = 0;
        for (byte each : Files.readAllBytes(file)) {
            found += each == value ? 1 : 0;
        }
        return found;
    }

    @Test
    void memoryThatVanishesIsAnErrorAndNoSignal() throws IOException {
        JoinedBlocks aperture = openBoth();
        aperture.store(0, 4, 1);
        resize(vram, 0);
        byte[] page = new byte[Page.SIZE];
        assertFails(() -> aperture.load(0, 4), Errno.EIO);
        assertFails(() -> aperture.store(0, 4, 1), Errno.EIO);
        assertFails(() -> aperture.read(0, MemorySegment.ofArray(page)), Errno.EIO);
        assertFails(() -> aperture.fill(0, Page.SIZE, (byte) 0), Errno.EIO);
        aperture.store(Page.bytesOf(4), 4, 7);
        assertThat(aperture.load(Page.bytesOf(4), 4)).as("the other file is there").isEqualTo(7);
    }

    @Test
    void releasedMemoryIsNoLongerReached() {
        JoinedBlocks aperture = openBoth();
        aperture.blocks().forEach(memory::free);
        assertFails(() -> aperture.load(0, 4), Errno.EIO);
        assertFails(() -> aperture.store(0, 4, 1), Errno.EIO);
    }

    @Test
    void javaCodeGetsNoAddress() {
        JoinedBlocks aperture = openBoth();
        assertFails(() -> aperture.blocks().getFirst().segment(), Errno.EOPNOTSUPP);
    }

    @Test
    void onlyRegularFilesThatAreLongEnoughAreOpened() throws IOException {
        assertFails(() -> open(new FilePages(folder, 0, 1)), Errno.EINVAL);
        assertFails(() -> open(new FilePages(folder.resolve("none"), 0, 1)), Errno.ENOENT);
        assertFails(() -> open(new FilePages(Path.of("/dev/zero"), 0, 1)), Errno.EINVAL);
        assertFails(() -> open(new FilePages(vram, 0, BAR_PAGES + 1)), Errno.EINVAL);
        assertFails(() -> open(new FilePages(vram, Page.bytesOf(BAR_PAGES), 1)), Errno.EINVAL);
    }

    @Test
    void aBarOfLessThanAPageIsOnePage() throws IOException {
        Files.write(doorbells, new byte[256]);
        JoinedBlocks aperture = open(new FilePages(doorbells, 0, 1));
        aperture.store(128, 4, 9);
        assertThat(numberAt(doorbells, 128)).isEqualTo(9);
    }

    @Test
    void whereOnePartFailsTheOthersAreClosed() throws IOException {
        long before = openFiles();
        assertFails(
                () -> open(new FilePages(vram, 0, 1), new FilePages(folder.resolve("none"), 0, 1)),
                Errno.ENOENT);
        for (String call : List.of("open", "mmap")) {
            FailingLibc failing = new FailingLibc(Syscalls.ofThisProcess().libc());
            int[] calls = new int[1];
            failing.fail((function, _) ->
                    function.equals(call) && ++calls[0] == 2 ? Errno.ENOMEM.code() : 0);
            Syscalls sys = new Syscalls(failing.libc());
            assertFails(
                    () ->
                            DeviceFile.open(
                                    sys,
                                    List.of(
                                            new FilePages(vram, 0, 1),
                                            new FilePages(vram, Page.SIZE, 1))),
                    Errno.ENOMEM);
        }
        assertThat(openFiles()).isEqualTo(before);
    }

    /// Descriptors and mappings of this test's files.
    private long openFiles() throws IOException {
        try (Stream<Path> links = Files.list(Path.of("/proc/self/fd"));
                Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
            return links.filter(this::isOurs).count()
                    + maps.filter(line -> line.contains(folder.toString())).count();
        }
    }

    private boolean isOurs(Path link) {
        try {
            return Files.readSymbolicLink(link).startsWith(folder);
        } catch (IOException e) {
            // It was closed since the listing.
            return false;
        }
    }

    private static void assertFails(ThrowingCallable action, Errno errno) {
        assertThatExceptionOfType(MdevException.class)
                .isThrownBy(action)
                .extracting(MdevException::errno)
                .isEqualTo(errno);
    }
}
