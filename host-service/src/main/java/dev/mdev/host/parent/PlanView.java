package dev.mdev.host.parent;

import dev.mdev.core.capacity.DefragPlan;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;

/// Moves of idle devices.
///
/// @param id identifies exactly these moves, so that a client applies only a plan that it has seen
/// @param pages pages to copy in total
record PlanView(String id, long pages, List<Move> moves) {
    private static final int ID_BYTES = 16;

    /// A move of all pages that a device has in one pool.
    ///
    /// @param fromExtents the number of pieces before
    /// @param toExtents the number of pieces after
    record Move(UUID mdev, String pool, long pages, int fromExtents, int toExtents) {}

    static PlanView of(DefragPlan plan) {
        return new PlanView(
                idOf(plan),
                plan.npages(),
                plan.moves().stream()
                        .map(move ->
                                new Move(
                                        move.uuid(),
                                        move.pool(),
                                        move.npages(),
                                        move.from().size(),
                                        move.to().size()))
                        .toList());
    }

    static String idOf(DefragPlan plan) {
        try {
            byte[] digest =
                    MessageDigest.getInstance("SHA-256")
                            .digest(plan.toString().getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(digest, 0, ID_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java runtime has SHA-256", e);
        }
    }
}
