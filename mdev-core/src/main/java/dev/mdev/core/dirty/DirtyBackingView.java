package dev.mdev.core.dirty;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.dirty.DirtyBackingMap.Part;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotChange;
import dev.mdev.core.memslot.SlotListener;

import java.util.ArrayList;
import java.util.List;

/// Dirty pages by the memory they lie in, rather than by the slot of the write.
///
/// Logs belong to slots: a page that two slots show, in two address spaces or twice in one, is
/// dirty in the slot of the write and clean in the other. Linux keeps it so, and so does the model.
/// A program that copies memory wants each page once. This view merges the logs of all slots at
/// each collection, at a cost that depends on the dirty pages and not on the size of memory.
///
/// The view listens to the slots. When a bitmap disappears, because its slot is deleted or stops
/// logging, the view merges it at that moment, when it can no longer change. Entries of rings name
/// a slot by number only: harvest the rings **before** a slot is deleted whose number will be used
/// for other memory.
///
/// All methods take the slots lock; the blocks' bitmaps may be used by any thread.
public final class DirtyBackingView {
    private final AddressSpaces slots;
    private final DirtyLog log;

    // All guarded by the slots lock.
    private final List<DirtyBackingBlock> blocks = new ArrayList<>();
    private final DirtyBackingMap map = new DirtyBackingMap();
    private long unbackedPages;
    private boolean carriesOver;

    private DirtyBackingView(AddressSpaces slots, DirtyLog log) {
        this.slots = slots;
        this.log = log;
    }

    /// Makes a view of a machine's memory. It stays attached for the machine's lifetime.
    public static DirtyBackingView attach(AddressSpaces slots, DirtyLog log) {
        DirtyBackingView view = new DirtyBackingView(slots, log);
        slots.slotsLock().lock();
        try {
            view.learnSlots();
            slots.addListener(view.new Changes());
        } finally {
            slots.slotsLock().unlock();
        }
        return view;
    }

    /// From now on, a slot that begins to log gets the dirty pages that the view has of its memory:
    /// they are those of slots that showed it before. So a slot that is cut in two, or goes and
    /// comes back, loses no dirty page. Blocks must then be harvested under the slots lock only.
    public void carryOver() {
        slots.slotsLock().lock();
        try {
            carriesOver = true;
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Adds a block of memory, all of it clean.
    ///
    /// @throws MdevException `EEXIST` if it overlaps another, `EINVAL` if it is larger than a slot
    ///   may be
    public DirtyBackingBlock addBlock(HvaRange host) {
        if (host.npages() > DirtyBitmap.MAX_PAGES) {
            throw new MdevException(Errno.EINVAL, "%s npages=%d".formatted(host, host.npages()));
        }
        slots.slotsLock().lock();
        try {
            for (DirtyBackingBlock block : blocks) {
                if (block.host().overlaps(host)) {
                    throw new MdevException(Errno.EEXIST, "%s overlaps %s".formatted(host, block));
                }
            }
            DirtyBackingBlock block = new DirtyBackingBlock(host);
            blocks.add(block);
            map.recut(blocks);
            return block;
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Removes a block from the view.
    ///
    /// @throws MdevException `ENOENT` if the view does not have it
    public void removeBlock(DirtyBackingBlock block) {
        slots.slotsLock().lock();
        try {
            if (!blocks.remove(block)) {
                throw new MdevException(Errno.ENOENT, block.toString());
            }
            map.recut(blocks);
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Collected dirty pages that lie in no block, and so in no view.
    public long unbackedPages() {
        slots.slotsLock().lock();
        try {
            return unbackedPages;
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Takes the bitmaps of all slots and merges them. When it returns, the pages it found are
    /// write-protected again and may be copied.
    public void collectBitmaps() {
        slots.slotsLock().lock();
        try {
            for (int asId = 0; asId < slots.config().addressSpaces(); asId++) {
                slots.active(asId).forEach(this::collectBitmap);
            }
        } finally {
            slots.slotsLock().unlock();
        }
    }

    /// Finds the dirty pages of a block, in all slots and in the view, and leaves them dirty.
    ///
    /// @return as in the block, a bitmap of the caller's own
    public DirtyBitmap peek(DirtyBackingBlock block) {
        DirtyBitmap found = new DirtyBitmap(block.host().npages());
        slots.slotsLock().lock();
        try {
            block.dirty().forEachWord(found::setAll);
            for (int asId = 0; asId < slots.config().addressSpaces(); asId++) {
                slots.active(asId).forEach(slot -> peekInto(found, block, slot));
            }
        } finally {
            slots.slotsLock().unlock();
        }
        return found;
    }

    private void peekInto(DirtyBitmap found, DirtyBackingBlock block, Memslot slot) {
        for (Part part : map.partsOf(slot.slotNumber())) {
            if (part.block().equals(block)) {
                log.peek(
                        slot.slotNumber(),
                        (word, bits) -> {
                            long index = (long) word * Long.SIZE;
                            DirtyBackingBlock.mergeInto(
                                    found,
                                    part.blockIndex() + (index - part.firstIndex()),
                                    bits & part.bitsFrom(index));
                        });
            }
        }
    }

    /// Harvests a ring and merges its entries. Their pages may be copied only after the rings are
    /// reset.
    ///
    /// @param limit the maximum number of entries
    /// @return entries harvested
    public int collectRing(DirtyRingHarvester ring, int limit) {
        slots.slotsLock().lock();
        try {
            return ring.harvest(this::merge, limit);
        } finally {
            slots.slotsLock().unlock();
        }
    }

    private void learnSlots() {
        for (int asId = 0; asId < slots.config().addressSpaces(); asId++) {
            slots.active(asId).forEach(slot -> map.put(slot, blocks));
        }
    }

    private void collectBitmap(Memslot slot) {
        if (slot.bitmap() != null) {
            List<Part> parts = map.partsOf(slot.slotNumber());
            log.collect(slot.slotNumber(), (word, bits) -> merge(parts, word, bits));
        }
    }

    private void merge(int slotNumber, long index) {
        for (Part part : map.partsOf(slotNumber)) {
            if (part.contains(index)) {
                part.block().dirty().set(part.blockIndex() + (index - part.firstIndex()));
                return;
            }
        }
        unbackedPages++;
    }

    private void merge(List<Part> parts, int word, long bits) {
        long index = (long) word * Long.SIZE;
        long left = bits;
        for (Part part : parts) {
            long inPart = left & part.bitsFrom(index);
            if (inPart != 0) {
                part.block().merge(part.blockIndex() + (index - part.firstIndex()), inPart);
                left &= ~inPart;
            }
        }
        unbackedPages += Long.bitCount(left);
    }

    private void carryInto(Memslot slot, DirtyBitmap log) {
        for (Part part : map.partsOf(slot.slotNumber())) {
            part.block().moveTo(log, part.blockIndex(), part.npages(), part.firstIndex());
        }
    }

    private final class Changes implements SlotListener {
        @Override
        public void prepare(SlotChange change) {}

        @Override
        public void flush(Memslot invalid) {}

        @Override
        public void commit(SlotChange change) {
            Memslot before = change.oldSlot();
            Memslot after = change.newSlot();
            DirtyBitmap dropped = before == null ? null : before.bitmap();
            if (before != null && dropped != null && (after == null || after.bitmap() != dropped)) {
                List<Part> parts = map.partsOf(before.slotNumber());
                dropped.harvest((word, bits) -> merge(parts, word, bits));
            }
            if (after != null) {
                map.put(after, blocks);
                DirtyBitmap log = after.bitmap();
                if (carriesOver && log != null && (before == null || before.bitmap() != log)) {
                    carryInto(after, log);
                }
            }
        }
    }
}
