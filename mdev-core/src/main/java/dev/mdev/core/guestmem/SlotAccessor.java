package dev.mdev.core.guestmem;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.HostMemoryAccess.Exchange;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Hva;
import dev.mdev.core.memslot.Memslot;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;

/// Reads and writes guest memory through slots, as the machine itself does (Linux `kvm_read_guest`
/// and its relatives).
///
/// An access is split at page boundaries and runs in ascending order; it stops at the first page
/// that fails. It may cross slots. If a slot logs, each completely written page is recorded as
/// dirty; a page whose copy failed is not recorded, even if some of it was written. An access of
/// zero bytes succeeds at any address.
///
/// Each call is one read section of the slots, so a change of slots waits for it, even while it
/// waits for host memory to be faulted in.
public abstract sealed class SlotAccessor permits GuestMemoryAccess, VcpuMemoryAccess {
    private static final MemorySegment ZEROS =
            MemorySegment.ofArray(new byte[Page.SIZE]).asReadOnly();

    private final AddressSpaces spaces;
    private final HostMemoryAccess host;
    private final int vcpuId;

    SlotAccessor(AddressSpaces spaces, HostMemoryAccess host, int vcpuId) {
        this.spaces = spaces;
        this.host = host;
        this.vcpuId = vcpuId;
    }

    /// The slot that has the guest frame, as this accessor sees slots.
    abstract @Nullable Memslot find(long gfn);

    /// The host address of a guest frame for an access, or one of the errors of [Hva]. Valid as
    /// long as the caller stays in a read section (Linux `gfn_to_hva`, `gfn_to_hva_prot`).
    public final long hvaOf(long gfn, Access access) {
        return Hva.of(find(gfn), gfn, access);
    }

    /// Copies `destination.byteSize()` bytes from guest memory at `gpa`.
    public final AccessOutcome read(long gpa, MemorySegment destination) {
        return transfer(gpa, destination, Copy.READ);
    }

    /// Copies `destination.byteSize()` bytes of one page, if that takes no page fault (Linux
    /// `kvm_vcpu_read_guest_atomic`). Fails if they span two pages.
    public final AccessOutcome readWithoutFault(long gpa, MemorySegment destination) {
        if (Page.offsetOf(gpa) + destination.byteSize() > Page.SIZE) {
            return new AccessOutcome.Fault(gpa);
        }
        return transfer(gpa, destination, Copy.READ_WITHOUT_FAULT);
    }

    /// Copies all of `source` to guest memory at `gpa`.
    public final AccessOutcome write(long gpa, MemorySegment source) {
        return transfer(gpa, source, Copy.WRITE);
    }

    /// Writes zeros (Linux `kvm_clear_guest`).
    ///
    /// @param lengthBytes at least 0
    public final AccessOutcome clear(long gpa, long lengthBytes) {
        return transfer(gpa, lengthBytes, (_, count) -> ZEROS.asSlice(0, count), Copy.WRITE);
    }

    /// Replaces, in one atomic step, the little-endian value at `gpa` if it is `expected`. The page
    /// counts as written in both cases, because the processor writes the old value back (Linux
    /// `emulator_cmpxchg_emulated`).
    ///
    /// @param gpa a multiple of `sizeBytes`
    /// @param sizeBytes 1, 2, 4 or 8
    /// @return [Exchange#FAULT] where a write of the page would fail
    public final Exchange compareExchange(
            long gpa, int sizeBytes, long expected, long replacement) {
        if (Integer.bitCount(sizeBytes) != 1
                || sizeBytes > Long.BYTES
                || (gpa & (sizeBytes - 1)) != 0) {
            throw new IllegalArgumentException(
                    "no atomic access: gpa=0x%x sizeBytes=%d".formatted(gpa, sizeBytes));
        }
        int token = spaces.srcu().readLock();
        try {
            long gfn = Page.numberOf(gpa);
            Memslot slot = find(gfn);
            long hva = Hva.of(slot, gfn, Access.WRITE);
            if (slot == null || Hva.isError(hva)) {
                return Exchange.FAULT;
            }
            Exchange result =
                    host.compareExchange(
                            hva + Page.offsetOf(gpa), sizeBytes, expected, replacement);
            if (result != Exchange.FAULT) {
                spaces.markDirty(slot, gfn, vcpuId);
            }
            return result;
        } finally {
            spaces.srcu().readUnlock(token);
        }
    }

    /// Records that a guest frame was written in some other way (Linux `mark_page_dirty`). Without
    /// a slot, it does nothing.
    public final void markPageDirty(long gfn) {
        int token = spaces.srcu().readLock();
        try {
            Memslot slot = find(gfn);
            if (slot != null) {
                spaces.markDirty(slot, gfn, vcpuId);
            }
        } finally {
            spaces.srcu().readUnlock(token);
        }
    }

    private AccessOutcome transfer(long gpa, MemorySegment buffer, Copy copy) {
        return transfer(gpa, buffer.byteSize(), buffer::asSlice, copy);
    }

    private AccessOutcome transfer(long gpa, long lengthBytes, Pieces pieces, Copy copy) {
        int token = spaces.srcu().readLock();
        try {
            // Counts frames, not addresses: past the last frame there is no slot, while addresses
            // would wrap to 0.
            long gfn = Page.numberOf(gpa);
            int offset = Page.offsetOf(gpa);
            for (long done = 0; done < lengthBytes; gfn++) {
                long count = Math.min(lengthBytes - done, Page.SIZE - offset);
                if (!copyInPage(gfn, offset, pieces.at(done, count), copy)) {
                    return new AccessOutcome.Fault(Page.addressOf(gfn) + offset);
                }
                done += count;
                offset = 0;
            }
            return AccessOutcome.ok();
        } finally {
            spaces.srcu().readUnlock(token);
        }
    }

    private boolean copyInPage(long gfn, int offset, MemorySegment buffer, Copy copy) {
        Memslot slot = find(gfn);
        Access access = copy == Copy.WRITE ? Access.WRITE : Access.READ;
        long hva = Hva.of(slot, gfn, access);
        if (slot == null || Hva.isError(hva)) {
            return false;
        }
        return switch (copy) {
            case READ -> host.read(hva + offset, buffer);
            case READ_WITHOUT_FAULT -> host.readWithoutFault(hva + offset, buffer);
            case WRITE -> {
                boolean written = host.write(hva + offset, buffer);
                if (written) {
                    spaces.markDirty(slot, gfn, vcpuId);
                }
                yield written;
            }
        };
    }

    /// The caller's side of a copy, piece by piece.
    private interface Pieces {
        MemorySegment at(long offsetBytes, long lengthBytes);
    }

    private enum Copy {
        READ,
        READ_WITHOUT_FAULT,
        WRITE
    }
}
