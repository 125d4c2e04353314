package dev.mdev.core.engine.barfile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.page.Page;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.EngineProbe.Finding;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;

/// A file system of BAR files, a driver whose answers a test sets, and clients.
abstract class BarWorld {
    @TempDir Path directory;

    final HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
    final ScriptedDriver driver = new ScriptedDriver();
    private final List<AutoCloseable> closing = new ArrayList<>();
    Path program;
    MdevBus bus;
    BarFileSystem fs;

    BarFileOptions options() {
        return BarFileOptions.DEFAULT;
    }

    @BeforeEach
    void start() throws Exception {
        assumeBarFiles();
        program = BarClient.compile(directory);
        fs = BarFileSystem.mount(directory.resolve("mount"), memory, options());
        bus = new MdevBus(memory, Deadlines.HANG, MdevObserver.NONE);
        bus.addDriver(driver, Map.of());
    }

    static void assumeBarFiles() {
        List<Finding> missing =
                BarFileSystem.probe().findings().stream().filter(it -> !it.met()).toList();
        assumeTrue(missing.isEmpty(), () -> "no BAR files: " + missing);
        assumeTrue(
                Stream.of(System.getenv("PATH").split(":"))
                        .anyMatch(folder -> Files.isExecutable(Path.of(folder, "cc"))),
                "no C compiler: there is no client");
    }

    @AfterEach
    void stop() throws Exception {
        for (AutoCloseable each : closing.reversed()) {
            each.close();
        }
        if (fs != null) {
            fs.close();
        }
        if (bus != null) {
            bus.close();
        }
        memory.close();
    }

    /// A device with a holder.
    final MdevAssignment assign() {
        Mdev mdev = bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE);
        return later(mdev.assign("client"));
    }

    final BarFile open(MdevAssignment assignment) {
        return later(fs.open(assignment, assignment.mdev().region(ScriptedDriver.LAZY_BAR)));
    }

    final BarClient client(BarFile file) throws Exception {
        return later(BarClient.start(program, file));
    }

    final <T extends AutoCloseable> T later(T closeable) {
        closing.add(closeable);
        return closeable;
    }

    final ScriptedDriver.Device device(int index) {
        return driver.devices.get(index);
    }

    /// Waits until a file has so many granted pages: an access is answered a moment before the
    /// books have its page.
    static void awaitResident(BarFile file, long npages) {
        long start = System.nanoTime();
        while (file.residentPages() != npages) {
            assertThat(System.nanoTime() - start)
                    .as("residentPages=%d expected=%d", file.residentPages(), npages)
                    .isLessThan(Deadlines.HANG.toNanos());
            Thread.onSpinWait();
        }
    }

    static long at(long page) {
        return Page.addressOf(page);
    }

    /// As the driver reads its aperture.
    final long deviceLong(int device, long page) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        driver.aperture().read(apertureOffset(device, page), value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    final void setDeviceLong(int device, long page, long value) {
        driver.aperture()
                .write(apertureOffset(device, page), MemorySegment.ofArray(new long[] {value}));
    }

    final long apertureOffset(int device, long page) {
        return driver.aperture().offsetOf(device(device).pfnOf(page));
    }
}
