package dev.mdev.core.engine.barfile;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;

/// A process that serves one BAR file until it is killed: prints its descriptor and its size.
/// Argument: the folder.
final class BarServer {
    private BarServer() {}

    public static void main(String[] args) throws Exception {
        HostMemory memory = HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
        BarFileSystem fs = BarFileSystem.mount(Path.of(args[0]), memory, BarFileOptions.DEFAULT);
        MdevBus bus = new MdevBus(memory, Duration.ofSeconds(60), MdevObserver.NONE);
        bus.addDriver(new ScriptedDriver(), Map.of());
        MdevAssignment assignment =
                bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE)
                        .assign("client");
        BarFile file = fs.open(assignment, assignment.mdev().region(ScriptedDriver.LAZY_BAR));
        System.out.println(file.fd() + " " + file.sizeBytes());
        Thread.currentThread().join();
    }
}
