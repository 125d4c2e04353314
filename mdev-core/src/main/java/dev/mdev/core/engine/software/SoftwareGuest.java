package dev.mdev.core.engine.software;

import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.HostMemoryAccess;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.MmHostMemory;
import dev.mdev.core.mmu.Stage2Mmu;

/// The software engine's part of a machine.
public final class SoftwareGuest implements GuestEngine {
    private final AddressSpaces slots;
    private final HostMm hostMm;
    private final Stage2Mmu mmu;
    private final HostMemoryAccess hostMemory;

    /// @param zapAllOnRemoval as [Stage2Mmu]
    SoftwareGuest(AddressSpaces slots, HostMm hostMm, boolean zapAllOnRemoval) {
        this.slots = slots;
        this.hostMm = hostMm;
        this.mmu = new Stage2Mmu(slots, hostMm, zapAllOnRemoval);
        this.hostMemory = new MmHostMemory(hostMm);
    }

    @Override
    public HostMm hostMm() {
        return hostMm;
    }

    /// The machine's MMU.
    public Stage2Mmu mmu() {
        return mmu;
    }

    /// Host memory as accessors of guest memory reach it.
    public HostMemoryAccess hostMemory() {
        return hostMemory;
    }

    @Override
    public SoftwareVcpu createVcpu(int vcpuId) {
        return new SoftwareVcpu(new VcpuMemslots(slots, vcpuId), mmu, hostMemory);
    }

    @Override
    public void close() {
        hostMm.close();
    }
}
