package dev.mdev.core.memslot;

/// A listener that keeps state per slot: an MMU its mappings, an engine the kernel's copy.
///
/// The thread that changes the slot calls all methods, with the slots lock held. Listeners must not
/// change slots, and only [#prepare] may throw. The order for one change:
///
///     CREATE, FLAGS_ONLY:           prepare -> (new set published) -> commit
///     DELETE, MOVE:   (INVALID published) -> flush -> prepare -> (new set published) -> commit
///     refused:                   ... -> prepare throws -> abort -> (old set published)
///
/// When a set is published, all read sections of the previous one have ended.
public interface SlotListener {
    /// Prepares for a change, or refuses it with an exception, which the VMM then gets. The
    /// listener keeps what it prepared until [#commit] or [#abort].
    void prepare(SlotChange change);

    /// Drops every mapping through a slot. No new one can appear, because the slot is published as
    /// INVALID and all readers of the valid slot have left.
    void flush(Memslot invalid);

    /// Applies a change that is now in force.
    void commit(SlotChange change);

    /// Releases what an earlier [#prepare] of this change acquired, because another listener
    /// refused the change.
    default void abort(SlotChange change) {}

    /// Marks pages that were written, or may have been, without a page fault, such as by a device
    /// with pinned pages. The slot's log is about to be read. Called with the slots lock held.
    default void beforeHarvest(Memslot slot) {}

    /// Announces a new generation of an address space just before readers see it (Linux
    /// `kvm_arch_memslots_updated`).
    default void generationChanged(int asId, long generation) {}
}
