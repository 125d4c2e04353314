package dev.mdev.core.engine;

import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRingCollector;
import dev.mdev.core.dma.WriteWatches;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.topology.VcpuPause;

import java.util.List;
import java.util.Optional;

/// An engine's part of one virtual machine.
public interface GuestEngine extends AutoCloseable {
    /// The machine's host address space, whose page table is this engine's.
    HostMm hostMm();

    /// Keeps the machine's virtual processors out of the guest while slots change.
    VcpuPause pause();

    /// The log of guest writes by slot.
    DirtyLog dirtyLog();

    /// Lets stores to these places, and to no others, ring without an exit of the virtual
    /// processor, as far as the engine can. All others remain accesses without memory.
    default void setDoorbells(List<DoorbellPort> doorbells) {}

    /// How writes are logged. Change it by [#enableDirtyTracking] only.
    DirtyModes dirtyModes();

    /// Enables a capability of dirty tracking (`KVM_ENABLE_CAP`), as [DirtyModes#enable].
    ///
    /// @throws dev.mdev.api.MdevException the error of the model or the kernel
    void enableDirtyTracking(int capability, int flags, long optionBits);

    /// Takes the entries of the rings into the bitmaps of the slots, if [DirtyModes#collectRings]
    /// was called before rings were enabled.
    DirtyRingCollector ringCollector();

    /// Watches stores of the guest; nothing if this engine cannot.
    Optional<WriteWatches> writeWatches();

    /// Makes a virtual processor.
    ///
    /// @param vcpuId 0, 1, 2...
    /// @throws dev.mdev.api.MdevException EIO if the machine has been given up, EINVAL for an
    ///   impossible id, EEXIST for one that was used before
    VcpuEngine createVcpu(int vcpuId);

    /// Ends the machine, after all its virtual processors are closed.
    @Override
    void close();
}
