package dev.mdev.core.memslot;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/// What slots do, said as plainly as possible: maps, no publication, no readers. Nothing here is
/// shared with the code under test but the words of the request.
final class ReferenceSlots {
    private static final BigInteger TWO_TO_64 = BigInteger.ONE.shiftLeft(64);

    /// More pages than that have no bitmap: there is no memory for it.
    static final long MAX_BITMAP_PAGES = 4096;

    private static final int INVALID_FLAG = 1 << 16;

    private final SlotConfig config;
    private final List<TreeMap<Long, Slot>> byGfn = new ArrayList<>();
    private final List<Map<Integer, Slot>> byId = new ArrayList<>();
    private final long[] generations;

    /// The content of new bitmaps: '0', '1', or '-' for none.
    char bitmapPolicy = '0';

    /// What a listener will refuse the next changes with.
    @Nullable Errno refusal;

    ReferenceSlots(SlotConfig config) {
        this.config = config;
        this.generations = new long[config.addressSpaces()];
        for (int asId = 0; asId < config.addressSpaces(); asId++) {
            byGfn.add(new TreeMap<>());
            byId.add(new HashMap<>());
            generations[asId] = asId;
        }
    }

    /// A slot; `dirty` is null if it has no bitmap, and goes along when the slot is moved.
    record Slot(
            int id, int asId, int flags, long gfn, long npages, long hva, @Nullable BitSet dirty) {
        boolean has(int flag) {
            return (flags & flag) != 0;
        }
    }

    long generation(int asId) {
        return generations[asId];
    }

    Iterable<Slot> slots(int asId) {
        return byGfn.get(asId).values();
    }

    int size(int asId) {
        return byGfn.get(asId).size();
    }

    @Nullable Slot byId(int asId, int id) {
        return byId.get(asId).get(id);
    }

    /// The slot of a frame for someone in SMM or not; `asId` is for the caller to say.
    @Nullable Slot find(int asId, long gfn, boolean inSmm) {
        Map.Entry<Long, Slot> entry = byGfn.get(asId).floorEntry(gfn);
        if (entry == null) {
            return null;
        }
        Slot slot = entry.getValue();
        boolean hidden = slot.has(SlotFlags.SMRAM) && !inSmm;
        return gfn < slot.gfn + slot.npages && !hidden ? slot : null;
    }

    long totalPages() {
        return byGfn.stream()
                .flatMap(slots -> slots.values().stream())
                .mapToLong(Slot::npages)
                .sum();
    }

    long loggingSlots() {
        return byGfn.stream()
                .flatMap(slots -> slots.values().stream())
                .filter(slot -> slot.has(SlotFlags.LOG_DIRTY_PAGES))
                .count();
    }

    /// Carries out a request, or returns the error.
    @Nullable Errno set(UserMemoryRegion region) {
        if (isMalformed(region)) {
            return Errno.EINVAL;
        }
        int asId = region.slot() >>> 16;
        int id = region.slot() & 0xffff;
        Slot old = byId.get(asId).get(id);
        if (region.sizeBytes() == 0) {
            return old == null ? Errno.EINVAL : delete(old);
        }
        long gfn = region.gpa() >>> 12;
        long npages = region.sizeBytes() >>> 12;
        if (old != null) {
            int fixed = SlotFlags.READONLY | SlotFlags.SMRAM;
            if (old.hva != region.hva()
                    || old.npages != npages
                    || (old.flags & fixed) != (region.flags() & fixed)) {
                return Errno.EINVAL;
            }
            if (old.gfn == gfn && old.flags == region.flags()) {
                return null;
            }
        }
        boolean takesPlace = old == null || old.gfn != gfn;
        if (takesPlace) {
            for (Slot other : byGfn.get(asId).values()) {
                if (other.id != id && other.gfn < gfn + npages && gfn < other.gfn + other.npages) {
                    return Errno.EEXIST;
                }
            }
        }
        return install(old, region, takesPlace);
    }

    private @Nullable Errno delete(Slot old) {
        swap(old.asId, 2);
        if (refusal != null) {
            return refusal;
        }
        remove(old);
        return null;
    }

    private @Nullable Errno install(
            @Nullable Slot old, UserMemoryRegion region, boolean takesPlace) {
        int asId = region.slot() >>> 16;
        long gfn = region.gpa() >>> 12;
        long npages = region.sizeBytes() >>> 12;
        boolean moves = old != null && takesPlace;
        boolean logs = (region.flags() & SlotFlags.LOG_DIRTY_PAGES) != 0;
        boolean hasBitmap = old != null && old.dirty != null;
        if (takesPlace && gfn + npages - 1 > config.maxGfn()) {
            swap(asId, moves ? 2 : 0);
            return Errno.EINVAL;
        }
        if (logs && !hasBitmap && bitmapPolicy != '-' && npages > MAX_BITMAP_PAGES) {
            swap(asId, moves ? 2 : 0);
            return Errno.ENOMEM;
        }
        if (refusal != null) {
            swap(asId, moves ? 2 : 0);
            return refusal;
        }
        if (old != null) {
            remove(old);
        }
        Slot slot =
                new Slot(
                        region.slot() & 0xffff,
                        asId,
                        region.flags(),
                        gfn,
                        npages,
                        region.hva(),
                        bitmap(old, region));
        byGfn.get(asId).put(gfn, slot);
        byId.get(asId).put(slot.id, slot);
        swap(asId, moves ? 2 : 1);
        return null;
    }

    private @Nullable BitSet bitmap(@Nullable Slot old, UserMemoryRegion region) {
        if ((region.flags() & SlotFlags.LOG_DIRTY_PAGES) == 0) {
            return null;
        }
        if (old != null && old.dirty != null) {
            return old.dirty;
        }
        if (bitmapPolicy == '-') {
            return null;
        }
        BitSet bits = new BitSet();
        if (bitmapPolicy == '1') {
            bits.set(0, (int) (region.sizeBytes() >>> 12));
        }
        return bits;
    }

    private void remove(Slot slot) {
        byGfn.get(slot.asId).remove(slot.gfn);
        byId.get(slot.asId).remove(slot.id);
    }

    private void swap(int asId, int times) {
        generations[asId] += (long) times * config.addressSpaces();
    }

    private boolean isMalformed(UserMemoryRegion region) {
        BigInteger size = unsigned(region.sizeBytes());
        BigInteger gpa = unsigned(region.gpa());
        BigInteger hva = unsigned(region.hva());
        int legal =
                SlotFlags.LOG_DIRTY_PAGES
                        | SlotFlags.READONLY
                        | (config.smramFlag() ? SlotFlags.SMRAM : 0);
        return (region.flags() & (~legal | INVALID_FLAG)) != 0
                || (region.slot() & 0xffff) >= 32764
                || region.slot() >>> 16 >= config.addressSpaces()
                || region.sizeBytes() % Page.SIZE != 0
                || region.gpa() % Page.SIZE != 0
                || region.hva() % Page.SIZE != 0
                || hva.add(size).compareTo(unsigned(config.hvaLimit())) > 0
                || gpa.add(size).compareTo(TWO_TO_64) >= 0
                || size.shiftRight(12).bitLength() > 31;
    }

    private static BigInteger unsigned(long value) {
        BigInteger signed = BigInteger.valueOf(value);
        return value < 0 ? signed.add(TWO_TO_64) : signed;
    }
}
