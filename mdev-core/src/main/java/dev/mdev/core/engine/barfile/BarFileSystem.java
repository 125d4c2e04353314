package dev.mdev.core.engine.barfile;

import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.hostmm.HostMemory;

import java.nio.file.Path;

/// The file system of a process's BAR files. Stub of the public type.
public interface BarFileSystem extends AutoCloseable {
    /// What it needs, and whether this machine has it.
    static EngineProbe probe() {
        throw new UnsupportedOperationException();
    }

    /// Mounts it.
    ///
    /// @param directory made if missing; one process at a time may use it
    /// @param memory the memory of all devices
    static BarFileSystem mount(Path directory, HostMemory memory, BarFileOptions options) {
        throw new UnsupportedOperationException();
    }

    /// Makes the file of a region that has lazy or eager areas; asks the driver for eager ones.
    BarFile open(MdevAssignment assignment, RegionInfo region);

    /// Unmounts it: clients find errors.
    @Override
    void close();
}
