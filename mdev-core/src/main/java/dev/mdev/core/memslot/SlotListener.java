package dev.mdev.core.memslot;

/// Someone who keeps things per slot: an MMU its mappings, an engine the kernel's copy.
///
/// All methods are called by the thread that changes the slot, with the slots lock held. None may
/// change slots, and only [#prepare] may throw. The order for one change:
///
///     CREATE, FLAGS_ONLY:           prepare -> (new set published) -> commit
///     DELETE, MOVE:   (INVALID published) -> flush -> prepare -> (new set published) -> commit
///     refused:                   ... -> prepare throws -> abort -> (old set published)
///
/// When a set is published, all read sections that saw the former one have ended.
public interface SlotListener {
    /// Gets ready for a change, or refuses it by an exception, which the VMM then sees. What was
    /// prepared is kept until [#commit] or [#abort].
    void prepare(SlotChange change);

    /// Drops every mapping that goes through a slot. No new one can come about, since the slot is
    /// published as INVALID and no reader is left that saw it valid.
    void flush(Memslot invalid);

    /// Follows a change that is now in force.
    void commit(SlotChange change);

    /// Gives up what an earlier [#prepare] of this change got, since another listener refused it.
    default void abort(SlotChange change) {}

    /// Makes known what was written, or may have been, without any page having been faulted for it,
    /// such as by a device with pinned pages: its marks are wanted now, as the slot's log is about
    /// to be read. Called with the slots lock held.
    default void beforeHarvest(Memslot slot) {}

    /// Hears of a new generation of an address space just before readers see it (Linux
    /// `kvm_arch_memslots_updated`).
    default void generationChanged(int asId, long generation) {}
}
