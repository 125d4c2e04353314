package dev.mdev.core.engine;

import dev.mdev.core.hostmm.HostMm;

/// An engine's part of one virtual machine.
public interface GuestEngine extends AutoCloseable {
    /// The machine's host address space, whose page table is this engine's.
    HostMm hostMm();

    /// Makes a virtual processor.
    ///
    /// @param vcpuId 0, 1, 2...
    VcpuEngine createVcpu(int vcpuId);

    /// Ends the machine, after all its virtual processors are closed.
    @Override
    void close();
}
