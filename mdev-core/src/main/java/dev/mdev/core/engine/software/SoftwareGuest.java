package dev.mdev.core.engine.software;

import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRing;
import dev.mdev.core.dirty.DirtyRings;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.guestmem.MmHostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.Stage2Mmu;

import java.lang.foreign.Arena;

/// The software engine's part of a machine.
public final class SoftwareGuest implements GuestEngine {
    private final AddressSpaces slots;
    private final HostMm hostMm;
    private final Stage2Mmu mmu;
    private final HostMemoryAccess hostMemory;
    private final DirtyModes dirtyModes;
    private final DirtyLog dirtyLog;
    private final DirtyRings dirtyRings;

    /// @param zapAllOnRemoval as [Stage2Mmu]
    SoftwareGuest(AddressSpaces slots, HostMm hostMm, boolean zapAllOnRemoval) {
        this.slots = slots;
        this.hostMm = hostMm;
        this.mmu = new Stage2Mmu(slots, hostMm, zapAllOnRemoval);
        this.hostMemory = new MmHostMemory(hostMm);
        this.dirtyModes = new DirtyModes(slots, DirtyHardware.x86());
        this.dirtyLog = new DirtyLog(slots, dirtyModes, mmu.dirtyProtector());
        this.dirtyRings =
                new DirtyRings(
                        slots,
                        dirtyModes,
                        sizeBytes -> Arena.ofAuto().allocate(sizeBytes, Page.SIZE));
        slots.setBitmapPolicy(dirtyModes);
        slots.setDirtySink(dirtyRings);
        mmu.setProtectOnLogStart(dirtyModes::protectsOnLogStart);
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

    /// How writes are logged: the capabilities that a VMM enables.
    public DirtyModes dirtyModes() {
        return dirtyModes;
    }

    /// The log by slot.
    public DirtyLog dirtyLog() {
        return dirtyLog;
    }

    /// The rings of the processors, if they were enabled before the first was created.
    public DirtyRings dirtyRings() {
        return dirtyRings;
    }

    /// Frees the harvested entries of all rings (`KVM_RESET_DIRTY_RINGS`).
    ///
    /// @return the number of entries
    /// @throws dev.mdev.api.MdevException EINVAL if there are no rings
    public int resetDirtyRings() {
        return dirtyRings.reset(mmu.dirtyProtector());
    }

    @Override
    public SoftwareVcpu createVcpu(int vcpuId) {
        DirtyRing ring = dirtyRings.vcpuCreated(vcpuId);
        return new SoftwareVcpu(new VcpuMemslots(slots, vcpuId), mmu, hostMemory, ring);
    }

    @Override
    public void close() {
        hostMm.close();
    }
}
