package dev.mdev.core.elastic;

import org.jspecify.annotations.Nullable;

import java.util.List;

/// Frames on the way from one device to another, to the same, or to the free ones.
///
/// @param from the share that has the frames
/// @param to the share that gets them; null to free them
/// @param promised how many were promised: they count as leaving and arriving until now
record HandOver(PoolState pool, Share from, @Nullable Share to, int promised) {
    /// Ends the hand-over.
    ///
    /// @param taken the frames that the giver no longer uses
    /// @param clean those of them that can be used again
    void pass(List<Long> taken, List<Long> clean) {
        boolean stays = from == to;
        boolean passed = stays;
        try {
            if (!clean.isEmpty() && !stays) {
                if (to == null) {
                    pool.parts.bank().giveBack(clean, from.owner().uuid());
                } else {
                    pool.parts.bank().pass(clean, from.owner().uuid(), to.owner().uuid());
                }
            }
            passed = true;
        } finally {
            settle(taken.size(), passed ? clean : List.of());
        }
    }

    private void settle(int taken, List<Long> clean) {
        pool.lock.lock();
        try {
            from.holding.held -= taken;
            if (from != to) {
                from.holding.leaving -= promised;
            }
            if (to != null) {
                if (from != to) {
                    to.holding.arriving -= promised;
                }
                to.holding.held += clean.size();
                to.holding.spares.addAll(clean);
            } else {
                pool.freedUnits.add(clean.size());
            }
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }
}
