package dev.mdev.core.ledger;

import java.util.List;
import java.util.UUID;

/// The device of a verb, or an existing device.
///
/// @param uuid its identity
/// @param parent its parent's name
/// @param type its type's id
/// @param owner its owner
/// @param share its pages; empty if only the definition is concerned
public record Subject(UUID uuid, String parent, String type, Owner owner, List<PoolRuns> share) {
    public Subject {
        share = List.copyOf(share);
    }

    /// A device of ours of which only the definition is concerned.
    public static Subject of(MdevDefinition definition) {
        return new Subject(
                definition.uuid(), definition.parent(), definition.type(), Owner.OURS, List.of());
    }
}
