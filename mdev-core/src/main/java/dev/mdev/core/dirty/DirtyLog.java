package dev.mdev.core.dirty;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtyWords;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.UserMemoryRegion;

import java.lang.foreign.MemorySegment;

/// The dirty bitmaps of a machine as its VMM reads and clears them (Linux
/// `kvm_get_dirty_log_protect` and `kvm_clear_dirty_log_protect`), with their order of checks.
///
/// A page whose bit was taken is write-protected again before the call returns, so that its next
/// write sets the bit again. Only a later copy of the page is good. The listener that knows of a
/// write without a fault marks it each time ([dev.mdev.core.memslot.SlotListener#beforeHarvest]).
///
/// All methods take the slots lock and may be called by any thread outside a read section.
public final class DirtyLog {
    private final AddressSpaces slots;
    private final DirtyModes modes;
    private final DirtyProtector protector;

    public DirtyLog(AddressSpaces slots, DirtyModes modes, DirtyProtector protector) {
        this.slots = slots;
        this.modes = modes;
        this.protector = protector;
    }

    /// Reads a slot's log (`KVM_GET_DIRTY_LOG`) and, unless the VMM chose to clear it itself
    /// ([DirtyModes#isManualProtect]), clears it.
    ///
    /// Clears the log **before** it copies it out: if `target` cannot take it, the log is lost.
    ///
    /// @param slotNumber `asId << 16 | id`, any value
    /// @param target gets [DirtyBitmap#sizeBytes] bytes
    /// @throws MdevException `ENXIO` if there are rings and no bitmaps, `EINVAL` for an impossible
    ///   number, `ENOENT` for an absent slot or a slot without a log, `EFAULT` if the target is too
    ///   short or read-only
    public void get(int slotNumber, MemorySegment target) {
        slots.requireAlive();
        slots.slotsLock().lock();
        try {
            checkNumber(slotNumber);
            Memslot slot = slotOf(slotNumber);
            DirtyBitmap bitmap = bitmapOf(slot, slotNumber);
            protector.drain(slot);
            slots.beforeHarvest(slot);
            if (modes.isManualProtect()) {
                checkRoom(target, bitmap, slotNumber);
                bitmap.copyLive(target);
                return;
            }
            boolean any =
                    bitmap.harvestInto(
                            hasRoom(target, bitmap) ? target : null,
                            (firstWord, words, count) -> protect(slot, firstWord, words, count));
            if (any) {
                protector.flush();
            }
            checkRoom(target, bitmap, slotNumber);
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Clears part of a slot's log (`KVM_CLEAR_DIRTY_LOG`): of the named pages, the dirty ones
    /// become clean and are write-protected again.
    ///
    /// The part begins at a multiple of 64 pages, and it is a multiple of 64 pages long or reaches
    /// exactly to the slot's end. This works whether or not the VMM chose to clear logs itself.
    ///
    /// @param named the pages to clear, bit 0 for the part's first; bits after the part's last page
    ///   have no effect
    /// @throws MdevException `ENXIO` if there are rings and no bitmaps, `EINVAL` for an impossible
    ///   number or a part that begins at an unaligned page, `ENOENT` for an absent slot or a slot
    ///   without a log, `EINVAL` for a part with an invalid range, `EFAULT` if `named` is too
    ///   short; nothing is cleared then
    public void clear(DirtyLogClear part, MemorySegment named) {
        slots.requireAlive();
        slots.slotsLock().lock();
        try {
            checkNumber(part.slot());
            if ((part.firstIndex() & (Long.SIZE - 1)) != 0) {
                throw new MdevException(Errno.EINVAL, part + ": firstIndex not a multiple of 64");
            }
            Memslot slot = slotOf(part.slot());
            DirtyBitmap bitmap = bitmapOf(slot, part.slot());
            checkPart(part, slot);
            protector.drain(slot);
            int nwords = DirtyBitmap.wordsFor(part.npagesUnsigned());
            if (named.byteSize() < (long) nwords * Long.BYTES) {
                throw new MdevException(
                        Errno.EFAULT, "%s sizeBytes=%d".formatted(part, named.byteSize()));
            }
            int firstWord = (int) (part.firstIndex() / Long.SIZE);
            if (bitmap.clearNamed(
                    firstWord, nwords, named, (word, bits) -> protect(slot, word, bits))) {
                protector.flush();
            }
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Takes all dirty pages of a slot without copying the whole log: clears and write-protects
    /// them as [#get] does, in every mode. Cheap for a log without set bits.
    ///
    /// @param slotNumber `asId << 16 | id`, any value
    /// @param sink gets the words, called with the slots lock held. Copy its pages only after this
    ///   method has returned
    /// @return whether a page was dirty; false also if there is no such slot or it has no log
    public boolean collect(int slotNumber, DirtyWords sink) {
        slots.requireAlive();
        slots.slotsLock().lock();
        try {
            Memslot slot = slots.slotOf(slotNumber);
            DirtyBitmap bitmap = slot == null ? null : slot.bitmap();
            if (slot == null || bitmap == null || !modes.hasBitmaps()) {
                return false;
            }
            protector.drain(slot);
            slots.beforeHarvest(slot);
            boolean any =
                    bitmap.harvestGroups((firstWord, words, count) -> {
                        protect(slot, firstWord, words, count);
                        DirtyBitmap.handOver(firstWord, words, count, sink);
                    });
            if (any) {
                protector.flush();
            }
            return any;
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Passes on the dirty pages of a slot and leaves them dirty.
    ///
    /// @param slotNumber `asId << 16 | id`, any value
    /// @param sink gets the words, ascending, called with the slots lock held
    public void peek(int slotNumber, DirtyWords sink) {
        slots.requireAlive();
        slots.slotsLock().lock();
        try {
            Memslot slot = slots.slotOf(slotNumber);
            DirtyBitmap bitmap = slot == null ? null : slot.bitmap();
            if (slot != null && bitmap != null && modes.hasBitmaps()) {
                protector.drain(slot);
                slots.beforeHarvest(slot);
                bitmap.forEachWord(sink);
            }
        } finally {
            slots.slotsLock().unlock();
        }
    }

    private void protect(Memslot slot, int firstWord, long[] words, int count) {
        protector.protectWords(slot, (long) firstWord * Long.SIZE, words, count);
    }

    private void protect(Memslot slot, int word, long bits) {
        protector.protect(slot, (long) word * Long.SIZE, bits);
    }

    private void checkNumber(int slotNumber) {
        if (!modes.usesBitmap()) {
            throw new MdevException(Errno.ENXIO, "slot=0x%x: rings only".formatted(slotNumber));
        }
        if (UserMemoryRegion.asIdOf(slotNumber) >= slots.config().addressSpaces()
                || UserMemoryRegion.idOf(slotNumber) >= SlotIds.USER_SLOTS) {
            throw new MdevException(Errno.EINVAL, "slot=0x%x".formatted(slotNumber));
        }
    }

    private Memslot slotOf(int slotNumber) {
        Memslot slot = slots.slotOf(slotNumber);
        if (slot == null) {
            throw new MdevException(Errno.ENOENT, "slot=0x%x: no slot".formatted(slotNumber));
        }
        return slot;
    }

    private static DirtyBitmap bitmapOf(Memslot slot, int slotNumber) {
        DirtyBitmap bitmap = slot.bitmap();
        if (bitmap == null) {
            throw new MdevException(Errno.ENOENT, "slot=0x%x: no log".formatted(slotNumber));
        }
        return bitmap;
    }

    private static void checkPart(DirtyLogClear part, Memslot slot) {
        long restPages = slot.npages() - part.firstIndex();
        long npages = part.npagesUnsigned();
        if (Long.compareUnsigned(part.firstIndex(), slot.npages()) > 0
                || npages > restPages
                || (npages < restPages && npages % Long.SIZE != 0)) {
            throw new MdevException(
                    Errno.EINVAL, "%s slot.npages=%d".formatted(part, slot.npages()));
        }
    }

    private static boolean hasRoom(MemorySegment target, DirtyBitmap bitmap) {
        return target.byteSize() >= bitmap.sizeBytes() && !target.isReadOnly();
    }

    private static void checkRoom(MemorySegment target, DirtyBitmap bitmap, int slotNumber) {
        if (!hasRoom(target, bitmap)) {
            throw new MdevException(
                    Errno.EFAULT,
                    "slot=0x%x sizeBytes=%d need=%d"
                            .formatted(slotNumber, target.byteSize(), bitmap.sizeBytes()));
        }
    }
}
