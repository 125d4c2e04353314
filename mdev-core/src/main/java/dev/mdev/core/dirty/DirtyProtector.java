package dev.mdev.core.dirty;

import dev.mdev.core.memslot.Memslot;

/// Keeps the pages of logging slots write-protected until they are written: an MMU.
///
/// On a write to a protected page it records the page and then grants write permission, both in one
/// critical section that excludes [#protect]. Otherwise the record could be taken, and the page
/// protected again, before the permission is granted; later writes would then be unrecorded.
public interface DirtyProtector {
    /// Takes write permission from some pages of a slot, so that the next write to each is recorded
    /// again (Linux `kvm_arch_mmu_enable_log_dirty_pt_masked`). A vCPU may continue to write until
    /// [#flush]. Called with the slots lock held.
    ///
    /// @param slot the slot; it may have stopped logging
    /// @param baseIndex index within the slot of the page of bit 0; any number, not only multiples
    ///   of 64
    /// @param bits which pages, bit i for page `baseIndex + i`; never 0, all within the slot
    void protect(Memslot slot, long baseIndex, long bits);

    /// As [#protect], for adjacent words of a bitmap.
    ///
    /// @param baseIndex index within the slot of the page of bit 0 of `words[0]`
    /// @param words the pages; a word of 0 names none
    /// @param count the number of words
    default void protectWords(Memslot slot, long baseIndex, long[] words, int count) {
        for (int i = 0; i < count; i++) {
            if (words[i] != 0) {
                protect(slot, baseIndex + (long) i * Long.SIZE, words[i]);
            }
        }
    }

    /// Returns when every vCPU has given up the permissions that were taken.
    void flush();

    /// Adds the hardware's own buffers of writes to the log, before the log is read (Linux
    /// `kvm_arch_sync_dirty_log`).
    default void drain(Memslot slot) {}
}
