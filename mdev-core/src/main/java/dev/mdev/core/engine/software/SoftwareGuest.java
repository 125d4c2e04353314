package dev.mdev.core.engine.software;

import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.dirty.DirtyRing;
import dev.mdev.core.dirty.DirtyRingCollector;
import dev.mdev.core.dirty.DirtyRings;
import dev.mdev.core.dma.WriteWatches;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.guestmem.MmHostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.Stage2Mmu;
import dev.mdev.core.topology.VcpuPause;

import java.lang.foreign.Arena;
import java.util.Optional;

/// The software engine's part of a machine.
public final class SoftwareGuest implements GuestEngine {
    private final AddressSpaces slots;
    private final HostMm hostMm;
    private final Stage2Mmu mmu;
    private final HostMemoryAccess hostMemory;
    private final DirtyModes dirtyModes;
    private final DirtyLog dirtyLog;
    private final DirtyRings dirtyRings;
    private final DirtyRingCollector ringCollector;
    private final SoftwareWatches watches;

    SoftwareGuest(AddressSpaces slots, HostMm hostMm, SoftwareOptions options) {
        this.slots = slots;
        this.hostMm = hostMm;
        this.mmu = new Stage2Mmu(slots, hostMm, options.mmu());
        this.hostMemory = new MmHostMemory(hostMm);
        this.dirtyModes = new DirtyModes(slots, options.dirtyHardware(), options.ringDefects());
        this.dirtyLog = new DirtyLog(slots, dirtyModes, new Protector());
        this.dirtyRings =
                new DirtyRings(
                        slots,
                        dirtyModes,
                        sizeBytes -> Arena.ofAuto().allocate(sizeBytes, Page.SIZE));
        this.ringCollector = new DirtyRingCollector(slots, this::resetDirtyRings);
        slots.addListener(new EndsOfLogs());
        this.watches = new SoftwareWatches(slots, mmu);
        slots.addListener(watches);
        slots.setBitmapPolicy(dirtyModes);
        slots.setDirtySink(dirtyRings);
        mmu.setProtectOnLogStart(dirtyModes::protectsOnLogStart);
    }

    @Override
    public HostMm hostMm() {
        return hostMm;
    }

    @Override
    public VcpuPause pause() {
        return mmu.gate();
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
    public DirtyModes dirtyModes() {
        return dirtyModes;
    }

    @Override
    public DirtyLog dirtyLog() {
        return dirtyLog;
    }

    @Override
    public void enableDirtyTracking(int capability, int flags, long optionBits) {
        dirtyModes.enable(capability, flags, optionBits);
    }

    @Override
    public DirtyRingCollector ringCollector() {
        return ringCollector;
    }

    @Override
    public Optional<WriteWatches> writeWatches() {
        return Optional.of(watches);
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
        slots.requireAlive();
        DirtyRing ring = dirtyRings.vcpuCreated(vcpuId);
        if (ring != null && dirtyModes.hasCollectedRings()) {
            var _ = ringCollector.add(ring.memory());
        }
        return new SoftwareVcpu(new VcpuMemslots(slots, vcpuId), mmu, hostMemory, ring);
    }

    @Override
    public void close() {
        hostMm.close();
    }

    /// The MMU, with the rings as buffers of the log.
    private final class Protector implements DirtyProtector {
        private final DirtyProtector tables = mmu.dirtyProtector();

        @Override
        public void protect(Memslot slot, long baseIndex, long bits) {
            tables.protect(slot, baseIndex, bits);
        }

        @Override
        public void protectWords(Memslot slot, long baseIndex, long[] words, int count) {
            tables.protectWords(slot, baseIndex, words, count);
        }

        @Override
        public void flush() {
            tables.flush();
        }

        @Override
        public void drain(Memslot slot) {
            ringCollector.collect();
        }
    }

    /// Completes the log of a slot before it ends: entries of rings name a slot by its number only.
    private final class EndsOfLogs implements SlotListener {
        @Override
        public void prepare(SlotChange change) {
            Memslot old = change.oldSlot();
            Memslot next = change.newSlot();
            if (old != null && old.bitmap() != null && (next == null || !next.logsDirty())) {
                ringCollector.collect();
            }
        }

        @Override
        public void flush(Memslot invalid) {}

        @Override
        public void commit(SlotChange change) {}
    }
}
