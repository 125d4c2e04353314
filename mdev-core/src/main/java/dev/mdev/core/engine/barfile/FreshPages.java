package dev.mdev.core.engine.barfile;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/// The pages that a client has just waited for, and has not necessarily reached: the kernel wakes
/// the client, which then maps the page. It starts over if the page is gone by then. A driver that
/// revokes without a pause would keep it from its page for ever. So a revocation lets a fresh page
/// stay for a moment, in which the client runs.
///
/// The kernel does not say when a client maps a page, nor does it say how long the client waits for
/// a processor. So a page that is asked for again, soon after a revocation took it, stays for twice
/// as long the next time: from [#STAY_NANOS] up to [#MAX_STAY_NANOS]. A client that stores to the
/// page has reached it, and it starts anew. A client that loads from a page looks alike whether it
/// reached the page or not; revocations of such a page, without a pause, become slow for that.
///
/// Guarded by the lock of [PageStates].
final class FreshPages {
    /// The time between an answer and the moment from which a revocation may take the page: many
    /// times what the kernel needs to wake a client and map a page, on a machine with a processor
    /// to spare.
    static final long STAY_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

    /// The longest such time: many times what a client waits for a processor on a busy machine. A
    /// page that stayed for so long by itself has been reached.
    static final long MAX_STAY_NANOS = STAY_NANOS << 8;

    /// An access that comes so long after the revocation is another one.
    static final long AGAIN_NANOS = TimeUnit.SECONDS.toNanos(1);

    /// The most pages that are known at a time: more than a client has threads that fault at once.
    private static final int MOST = 1024;

    /// The one that was answered last is last.
    private final LinkedHashMap<Long, Stay> stays =
            new LinkedHashMap<>() {
                @Override
                protected boolean removeEldestEntry(Map.Entry<Long, Stay> eldest) {
                    return size() > MOST;
                }
            };

    private static final class Stay {
        long nanos = STAY_NANOS;
        long answeredNanos;

        /// Whether a revocation took the page since it was answered.
        boolean isTaken;

        long takenNanos;
    }

    /// Notes that an access asks for a page that no client has.
    void asked(long page, long nowNanos) {
        Stay stay = stays.get(page);
        if (stay == null) {
            return;
        }
        if (stay.isTaken && nowNanos - stay.takenNanos < AGAIN_NANOS) {
            stay.nanos = Math.min(2 * stay.nanos, MAX_STAY_NANOS);
            stay.isTaken = false;
        } else {
            stays.remove(page);
        }
    }

    /// Notes that the access to a page is answered.
    void answered(long page, long nowNanos) {
        @Nullable Stay known = stays.remove(page);
        Stay stay = known == null ? new Stay() : known;
        stay.answeredNanos = nowNanos;
        stay.isTaken = false;
        stays.put(page, stay);
    }

    /// Notes that a client has reached a page.
    void reached(long page) {
        stays.remove(page);
    }

    /// The pages of `[first, end)` that may be fresh.
    List<Long> in(long first, long end, long nowNanos) {
        List<Long> found = new ArrayList<>();
        for (Map.Entry<Long, Stay> entry : stays.sequencedEntrySet().reversed()) {
            if (nowNanos - entry.getValue().answeredNanos >= MAX_STAY_NANOS) {
                break;
            }
            long page = entry.getKey();
            if (page >= first && page < end) {
                found.add(page);
            }
        }
        return found;
    }

    /// Notes that a revocation takes a page.
    ///
    /// @param page one of [#in]
    /// @return how long it stays, from `nowNanos` on: 0 if it is not fresh, otherwise at most
    ///   [#MAX_STAY_NANOS]
    long take(long page, long nowNanos) {
        Stay stay = stays.get(page);
        if (stay == null) {
            return 0;
        }
        long rest = Math.max(stay.nanos - (nowNanos - stay.answeredNanos), 0);
        stay.isTaken = true;
        stay.takenNanos = nowNanos + rest;
        return rest;
    }
}
