package dev.mdev.core.capacity;

import dev.mdev.api.page.PfnRange;

import java.util.List;
import java.util.UUID;

/// Moves of idle devices after which a device of a type fits. Nothing moves before
/// [MdevBus#defragment].
///
/// @param parent the parent's name
/// @param type the type that fits then
/// @param moves in an order in which they are possible
public record DefragPlan(String parent, String type, List<Move> moves) {
    public DefragPlan {
        moves = List.copyOf(moves);
    }

    /// A move of all pages that a device has in one pool.
    ///
    /// @param from its present pages
    /// @param to free pages: page `i` of `from`, counted over the extents in order, becomes page
    ///   `i` of `to`
    public record Move(UUID uuid, String pool, List<PfnRange> from, List<PfnRange> to) {
        public Move {
            from = List.copyOf(from);
            to = List.copyOf(to);
        }

        /// Pages to copy.
        public long npages() {
            return from.stream().mapToLong(PfnRange::npages).sum();
        }
    }

    /// Pages to copy in total.
    public long npages() {
        return moves.stream().mapToLong(Move::npages).sum();
    }
}
