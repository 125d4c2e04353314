package dev.mdev.core.dirty;

import dev.mdev.core.memslot.Memslot;

/// Whoever keeps the pages of logging slots write-protected until they are written: an MMU.
///
/// On a write to a protected page it records the page and then grants the right, both in one
/// critical section that excludes [#protect]. Otherwise the record could be taken, and the page
/// protected again, before the right is granted; later writes would then go unrecorded.
public interface DirtyProtector {
    /// Takes the right to write from some pages of a slot, so that the next write to each is
    /// recorded again (Linux `kvm_arch_mmu_enable_log_dirty_pt_masked`). A vCPU may go on writing
    /// until [#flush]. Called with the slots lock held.
    ///
    /// @param slot the slot; it may have ceased to log
    /// @param baseIndex index within the slot of the page of bit 0; any number, not only multiples
    ///   of 64
    /// @param bits which pages, bit i for page `baseIndex + i`; never 0, all within the slot
    void protect(Memslot slot, long baseIndex, long bits);

    /// As [#protect], for words of a bitmap side by side.
    ///
    /// @param baseIndex index within the slot of the page of bit 0 of `words[0]`
    /// @param words which pages; those of a word that is 0 are none
    /// @param count how many words
    default void protectWords(Memslot slot, long baseIndex, long[] words, int count) {
        for (int i = 0; i < count; i++) {
            if (words[i] != 0) {
                protect(slot, baseIndex + (long) i * Long.SIZE, words[i]);
            }
        }
    }

    /// Returns when no vCPU still has a right that was taken.
    void flush();

    /// Makes the hardware's own buffers of writes appear in the log, before it is read (Linux
    /// `kvm_arch_sync_dirty_log`).
    default void drain(Memslot slot) {}
}
