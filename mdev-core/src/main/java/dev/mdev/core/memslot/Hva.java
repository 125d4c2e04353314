package dev.mdev.core.memslot;

import dev.mdev.api.page.Access;

import org.jspecify.annotations.Nullable;

/// Host addresses that stand for errors, so that a translation returns one `long` (Linux
/// `KVM_HVA_ERR_BAD`, `KVM_HVA_ERR_RO_BAD`).
public final class Hva {
    /// There is no slot, or it is being deleted or moved.
    public static final long BAD = 0xffff_8880_0000_0000L;

    /// The slot exists, but is read-only.
    public static final long READONLY_BAD = BAD + 0x1000;

    private Hva() {}

    /// Whether `hva` is an error: any address in the kernel's part of memory is.
    public static boolean isError(long hva) {
        return Long.compareUnsigned(hva, BAD) >= 0;
    }

    /// The host address of a guest frame (Linux `__gfn_to_hva_many`).
    ///
    /// @param slot the slot that was found for `gfn`
    public static long of(@Nullable Memslot slot, long gfn, Access access) {
        if (slot == null || slot.isInvalid()) {
            return BAD;
        }
        if (slot.isReadonly() && access == Access.WRITE) {
            return READONLY_BAD;
        }
        return slot.hvaOf(gfn);
    }
}
