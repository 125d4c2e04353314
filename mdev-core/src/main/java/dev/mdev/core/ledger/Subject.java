package dev.mdev.core.ledger;

import java.util.List;
import java.util.UUID;

/// The device that a verb is about, or that exists.
///
/// @param uuid its identity
/// @param parent its parent's name
/// @param type its type's id
/// @param owner whose it is
/// @param share its pages; nothing if only its definition is meant
public record Subject(UUID uuid, String parent, String type, Owner owner, List<PoolRuns> share) {
    public Subject {
        share = List.copyOf(share);
    }

    /// A device of ours of which only the definition is meant.
    public static Subject of(MdevDefinition definition) {
        return new Subject(
                definition.uuid(), definition.parent(), definition.type(), Owner.OURS, List.of());
    }
}
