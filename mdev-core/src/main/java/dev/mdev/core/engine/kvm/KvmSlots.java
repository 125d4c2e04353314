package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.stub.StubMemory;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

/// Keeps the kernel's memory slots equal to the machine's: [#prepare] makes each change in the
/// kernel, so that a refusal by the kernel refuses the change.
///
/// The kernel waits for virtual processors inside a page fault: a change of slots may take as long
/// as the answer of a page's owner, so that owner must not make it from within its answer.
final class KvmSlots implements SlotListener {
    private final KvmVm vm;
    private final VcpuRegistry vcpus;
    private final KvmDirtyPages dirtyPages;

    KvmSlots(KvmVm vm, VcpuRegistry vcpus, KvmDirtyPages dirtyPages) {
        this.vm = vm;
        this.vcpus = vcpus;
        this.dirtyPages = dirtyPages;
    }

    @Override
    public void prepare(SlotChange change) {
        UserMemoryRegion region = target(change.oldSlot(), change.newSlot());
        if (UserMemoryRegion.idOf(region.slot()) >= StubMemory.firstSlotId()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "the engine's own slots begin at id=%d: %s"
                            .formatted(StubMemory.firstSlotId(), region));
        }
        Memslot old = change.oldSlot();
        if (old == null || !losesLog(old, change.newSlot())) {
            vm.setUserMemoryRegion(region);
            return;
        }
        // The kernel drops the log with the slot, and writes between the last read of the log and
        // that would be lost; so all processors are held.
        vcpus.runWithoutGuest(() -> {
            dirtyPages.drain(old);
            vm.setUserMemoryRegion(region);
        });
    }

    private static boolean losesLog(Memslot old, @Nullable Memslot slot) {
        return old.bitmap() != null && (slot == null || !slot.logsDirty());
    }

    @Override
    public void abort(SlotChange change) {
        vm.setUserMemoryRegion(target(change.newSlot(), change.oldSlot()));
    }

    /// The request that turns the first slot into the second.
    private static UserMemoryRegion target(@Nullable Memslot from, @Nullable Memslot to) {
        if (to != null) {
            return to.region();
        }
        if (from == null) {
            throw new IllegalArgumentException("a change without a slot");
        }
        return UserMemoryRegion.deletionOf(from.slotNumber());
    }

    /// The kernel drops the mappings of an old place itself.
    @Override
    public void flush(Memslot invalid) {}

    @Override
    public void commit(SlotChange change) {}
}
