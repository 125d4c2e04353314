package dev.mdev.core.memslot;

import org.jspecify.annotations.Nullable;

/// Which bitmap a slot gets when it starts to log.
///
/// Called on creation of a logging slot, and when logging is turned on. Not called when a logging
/// slot moves (the bitmap moves along with its bits) or when a request changes nothing.
@FunctionalInterface
public interface BitmapPolicy {
    /// No bitmap: writes go to rings only.
    BitmapPolicy NONE = _ -> null;

    /// All zeros.
    BitmapPolicy ZEROS = DirtyBitmap::new;

    /// All ones (`KVM_DIRTY_LOG_INITIALLY_SET`).
    BitmapPolicy ALL_ONES = DirtyBitmap::allOnes;

    /// Makes the bitmap of a slot. Called with the slots lock held.
    ///
    /// @param npages pages of the slot
    /// @throws OutOfMemoryError if the bitmap does not fit; the request then fails with ENOMEM
    @Nullable DirtyBitmap newBitmap(long npages);
}
