package dev.mdev.core.memslot;

import org.jspecify.annotations.Nullable;

/// What a request does to one slot.
///
/// @param kind what happens
/// @param oldSlot the slot before, null for [Kind#CREATE]
/// @param newSlot the slot after, null for [Kind#DELETE]
public record SlotChange(Kind kind, @Nullable Memslot oldSlot, @Nullable Memslot newSlot) {
    /// Linux `enum kvm_mr_change`.
    public enum Kind {
        /// A slot appears.
        CREATE,
        /// A slot goes away.
        DELETE,
        /// A slot goes to other guest frames; it may begin or cease to log at the same time.
        MOVE,
        /// A slot begins or ceases to log.
        FLAGS_ONLY;

        /// Whether the old place goes away, so that its mappings must.
        boolean removesOldPlace() {
            return this == DELETE || this == MOVE;
        }

        /// Whether guest frames are taken that this slot did not have.
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
            throw new IllegalStateException("a change of no slot");
        }
        return slot;
    }
}
