package dev.mdev.core.memslot;

import org.jspecify.annotations.Nullable;

/// The effect of a request on one slot.
///
/// @param kind the kind of change
/// @param oldSlot the slot before, null for [Kind#CREATE]
/// @param newSlot the slot after, null for [Kind#DELETE]
public record SlotChange(Kind kind, @Nullable Memslot oldSlot, @Nullable Memslot newSlot) {
    /// Linux `enum kvm_mr_change`.
    public enum Kind {
        /// A slot appears.
        CREATE,
        /// A slot disappears.
        DELETE,
        /// A slot moves to other guest frames; it may start or stop logging at the same time.
        MOVE,
        /// A slot starts or stops logging.
        FLAGS_ONLY;

        /// Whether the old place disappears, so that its mappings must be dropped.
        boolean removesOldPlace() {
            return this == DELETE || this == MOVE;
        }

        /// Whether the slot takes guest frames that it did not have.
        boolean takesNewPlace() {
            return this == CREATE || this == MOVE;
        }
    }

    /// The address space in which it happens.
    public int asId() {
        return anySlot().asId();
    }

    Memslot anySlot() {
        Memslot slot = newSlot != null ? newSlot : oldSlot;
        if (slot == null) {
            throw new IllegalStateException("a change without a slot");
        }
        return slot;
    }
}
