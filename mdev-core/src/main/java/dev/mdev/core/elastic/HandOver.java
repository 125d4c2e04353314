package dev.mdev.core.elastic;

import org.jspecify.annotations.Nullable;

import java.util.List;

/// Frames on the way from one device to another, to the same, or to the free ones. Neither device
/// can end before it is over: their frames are the next devices' then.
final class HandOver {
    private final PoolState pool;
    private final Share from;
    private final @Nullable Share to;
    private final int promised;

    private HandOver(PoolState pool, Share from, @Nullable Share to, int promised) {
        this.pool = pool;
        this.from = from;
        this.to = to;
        this.promised = promised;
    }

    /// Begins a hand-over, which [#pass] must end. The pool's lock is held.
    ///
    /// @param from the share that has the frames
    /// @param to the share that gets them; null to free them
    /// @param promised how many: they count as leaving and arriving until the end
    static HandOver beginLocked(PoolState pool, Share from, @Nullable Share to, int promised) {
        from.holding.transfers++;
        if (from != to) {
            from.holding.leaving += promised;
        }
        if (to != null) {
            to.holding.transfers++;
            if (from != to) {
                to.holding.arriving += promised;
            }
        }
        return new HandOver(pool, from, to, promised);
    }

    /// Ends the hand-over. If the clean frames cannot be passed, they stay with their device.
    ///
    /// @param taken the frames that no unit of the giver has any more
    /// @param clean those of them that can be used again
    void pass(List<Long> taken, List<Long> clean) {
        boolean passed = false;
        try {
            if (!clean.isEmpty() && from != to) {
                if (to == null) {
                    pool.parts.bank().giveBack(clean, from.owner().uuid());
                } else {
                    pool.parts.bank().pass(clean, from.owner().uuid(), to.owner().uuid());
                }
            }
            passed = true;
        } finally {
            settle(taken.size(), clean, passed ? to : from);
        }
    }

    private void settle(int taken, List<Long> clean, @Nullable Share owner) {
        pool.lock.lock();
        try {
            from.holding.held -= taken;
            if (owner != null) {
                owner.holding.held += clean.size();
                owner.holding.spares.addAll(clean);
            }
            from.holding.transfers--;
            if (from != to) {
                from.holding.leaving -= promised;
            }
            if (to != null) {
                to.holding.transfers--;
                if (from != to) {
                    to.holding.arriving -= promised;
                }
            }
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }
}
