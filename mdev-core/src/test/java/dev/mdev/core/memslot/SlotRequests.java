package dev.mdev.core.memslot;

import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

/// Short ways to write requests in tests.
public final class SlotRequests {
    public static final long HVA = 0x1000_0000_0000L;

    private SlotRequests() {}

    /// Frames `[gfn, gfn + npages)` in slot `id` of address space 0.
    public static UserMemoryRegion ram(int id, long gfn, long npages) {
        return region(id, 0, gfn, npages);
    }

    public static UserMemoryRegion region(int slot, int flags, long gfn, long npages) {
        return new UserMemoryRegion(
                slot,
                flags,
                Page.addressOf(gfn),
                Page.addressOf(npages),
                HVA + ((long) UserMemoryRegion.idOf(slot) << 30));
    }

    /// Null if the request is carried out.
    public static @Nullable Errno errnoOf(AddressSpaces spaces, UserMemoryRegion region) {
        MdevException refusal =
                catchThrowableOfType(MdevException.class, () -> spaces.setUserMemoryRegion(region));
        return refusal == null ? null : refusal.errno();
    }
}
