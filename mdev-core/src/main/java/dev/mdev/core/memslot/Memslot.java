package dev.mdev.core.memslot;

import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.addr.HvaRange;

import org.jspecify.annotations.Nullable;

/// One slot: guest frames `[baseGfn, baseGfn + npages)` are the host memory from `hva` on (Linux
/// `struct kvm_memory_slot`).
///
/// A slot never changes; a change of a slot creates another object under the same id. Only the
/// content of its dirty bitmap changes, and two successive objects may share that bitmap. The
/// memory at `hva` belongs to the VMM, which may unmap it, or map it again, at any time.
public final class Memslot {
    private final int slotNumber;
    private final int flags;
    private final long baseGfn;
    private final long npages;
    private final long hva;
    private final @Nullable DirtyBitmap bitmap;

    /// Makes a slot from a checked request.
    Memslot(UserMemoryRegion region, @Nullable DirtyBitmap bitmap) {
        this(region, region.flags(), bitmap);
    }

    private Memslot(UserMemoryRegion region, int flags, @Nullable DirtyBitmap bitmap) {
        this.slotNumber = region.slot();
        this.flags = flags;
        this.baseGfn = Page.numberOf(region.gpa());
        this.npages = Page.numberOf(region.sizeBytes());
        this.hva = region.hva();
        this.bitmap = bitmap;
    }

    /// The same slot while it is being deleted or moved.
    Memslot invalidated() {
        return new Memslot(region(), flags | SlotFlags.INVALID, bitmap);
    }

    /// The request that this slot answers.
    public UserMemoryRegion region() {
        return new UserMemoryRegion(
                slotNumber,
                flags & ~SlotFlags.INVALID,
                Page.addressOf(baseGfn),
                Page.bytesOf(npages),
                hva);
    }

    /// The slot's id within its address space, 0 to 32766.
    public int id() {
        return UserMemoryRegion.idOf(slotNumber);
    }

    /// The address space that the slot is in.
    public int asId() {
        return UserMemoryRegion.asIdOf(slotNumber);
    }

    /// Id and address space as the VMM writes them: `asId << 16 | id`.
    public int slotNumber() {
        return slotNumber;
    }

    /// Bits of [SlotFlags].
    public int flags() {
        return flags;
    }

    /// The first guest frame number.
    public long baseGfn() {
        return baseGfn;
    }

    /// The first guest frame number after the slot.
    public long endGfn() {
        return baseGfn + npages;
    }

    /// Pages in the slot, at least 1.
    public long npages() {
        return npages;
    }

    /// The host address of the slot's first byte.
    public long hva() {
        return hva;
    }

    /// The guest frames of the slot.
    public GfnRange gfns() {
        return new GfnRange(baseGfn, npages);
    }

    /// The host addresses of the slot.
    public HvaRange hvas() {
        return HvaRange.ofPages(hva, npages);
    }

    /// Whether the guest frame is in the slot.
    public boolean contains(long gfn) {
        // One comparison: a gfn below the base wraps to more than any slot's size.
        return Long.compareUnsigned(gfn - baseGfn, npages) < 0;
    }

    /// The index within the slot of one of its guest frames: the number of its dirty bit.
    public long pageIndexOf(long gfn) {
        assert contains(gfn) : "gfn=0x%x not in %s".formatted(gfn, this);
        return gfn - baseGfn;
    }

    /// The host address of the first byte of one of the slot's guest frames.
    public long hvaOf(long gfn) {
        return hva + Page.addressOf(pageIndexOf(gfn));
    }

    /// The guest frame of one of the slot's host addresses.
    public long gfnOf(long hva) {
        assert hva >= this.hva && Page.numberOf(hva - this.hva) < npages
                : "hva=0x%x not in %s".formatted(hva, this);
        return baseGfn + Page.numberOf(hva - this.hva);
    }

    /// Whether guest writes leave the machine as MMIO.
    public boolean isReadonly() {
        return (flags & SlotFlags.READONLY) != 0;
    }

    /// Whether writes are recorded.
    public boolean logsDirty() {
        return (flags & SlotFlags.LOG_DIRTY_PAGES) != 0;
    }

    /// Whether the slot is being deleted or moved: accesses retry, and accessors fail.
    public boolean isInvalid() {
        return (flags & SlotFlags.INVALID) != 0;
    }

    /// Whether only vCPUs in system management mode see the slot ([SlotFlags#SMRAM]).
    public boolean isSmram() {
        return (flags & SlotFlags.SMRAM) != 0;
    }

    /// Whether a vCPU must take the slot for absent.
    ///
    /// @param inSmm whether it is in system management mode; false if there is no vCPU
    public boolean isHidden(boolean inSmm) {
        return !inSmm && isSmram();
    }

    /// Whether the slot is the VMM's and not being deleted or moved (Linux
    /// `kvm_is_visible_memslot`).
    public boolean isVisible() {
        return id() < SlotIds.USER_SLOTS && !isInvalid();
    }

    /// Where writes are recorded, or null: the slot does not log, or logs into rings only.
    public @Nullable DirtyBitmap bitmap() {
        return bitmap;
    }

    @Override
    public String toString() {
        return "Memslot[as=%d id=%d gfns=[0x%x, 0x%x) hva=0x%x flags=0x%x]"
                .formatted(asId(), id(), baseGfn, endGfn(), hva, flags);
    }
}
