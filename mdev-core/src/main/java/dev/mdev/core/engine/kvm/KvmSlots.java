package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

/// Keeps the kernel's memory slots the same as the machine's: what is decided there is asked of the
/// kernel in [#prepare], so that a refusal by the kernel refuses the change.
///
/// The kernel waits for virtual processors that are inside a page fault: a change of slots may take
/// as long as the owner of a page takes to answer, and must not be made by that owner from within.
final class KvmSlots implements SlotListener {
    /// Beyond what a guest's program can name ([StubMemory]), and below the kernel's limit where
    /// that is not the processor's address width.
    static final long PARKING_GPA = 1L << 48;

    private final KvmVm vm;
    private final KvmDirtyPages dirtyPages;

    KvmSlots(KvmVm vm) {
        this.vm = vm;
        this.dirtyPages = new KvmDirtyPages(vm);
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
        if (old != null && losesLog(change)) {
            keepLog(change.kind(), old);
        }
        vm.setUserMemoryRegion(region);
    }

    private static boolean losesLog(SlotChange change) {
        Memslot old = change.oldSlot();
        Memslot slot = change.newSlot();
        return old != null && old.logsDirty() && (slot == null || !slot.logsDirty());
    }

    /// Brings what the kernel has logged into the machine's bitmap, before the kernel drops it.
    ///
    /// A slot to be deleted is first moved to where no guest reaches it: a move keeps the log, and
    /// from then on nothing can be added to it. Where the kernel refuses that, for lack of address
    /// bits, what is written between this and the deletion is lost.
    private void keepLog(SlotChange.Kind kind, Memslot old) {
        UserMemoryRegion region = old.region();
        boolean parked =
                kind == SlotChange.Kind.DELETE
                        && vm.trySetUserMemoryRegion(
                                        new UserMemoryRegion(
                                                region.slot(),
                                                region.flags(),
                                                PARKING_GPA,
                                                region.sizeBytes(),
                                                region.hva()))
                                == 0;
        boolean kept = false;
        try {
            dirtyPages.drain(old);
            kept = true;
        } finally {
            if (parked && !kept) {
                vm.setUserMemoryRegion(region);
            }
        }
    }

    @Override
    public void abort(SlotChange change) {
        vm.setUserMemoryRegion(target(change.newSlot(), change.oldSlot()));
    }

    /// The request that makes the second slot of the first.
    private static UserMemoryRegion target(@Nullable Memslot from, @Nullable Memslot to) {
        if (to != null) {
            return to.region();
        }
        if (from == null) {
            throw new IllegalArgumentException("a change of no slot");
        }
        return UserMemoryRegion.deletionOf(from.slotNumber());
    }

    /// The kernel drops the mappings of an old place itself.
    @Override
    public void flush(Memslot invalid) {}

    @Override
    public void commit(SlotChange change) {}
}
