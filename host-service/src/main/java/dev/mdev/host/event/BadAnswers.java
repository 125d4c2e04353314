package dev.mdev.host.event;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.mapping.FaultRecord;

import java.time.Instant;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.ReentrantLock;

/// The pages of one device for which its driver's last answer was bad. They are over when the
/// driver answers well for each of them.
///
/// Any thread may call all methods. Lock: `lock`, a leaf.
final class BadAnswers {
    /// The maximum number of remembered pages. Of more, only a reset tells that all are over.
    static final int MAX_PAGES = 64;

    private final UUID mdev;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Map<Event.Kind, Bad> bad = new EnumMap<>(Event.Kind.class);

    /// Whether there are any: a good answer, of which there are many, takes no lock.
    private volatile boolean isBad;

    private record Page(int region, long page) {}

    /// The pages of one kind.
    private static final class Bad {
        private final Instant since = Instant.now();
        private final Set<Page> pages = new HashSet<>();
        private boolean hasMore;
        private String detail = "";
    }

    BadAnswers(UUID mdev) {
        this.mdev = mdev;
    }

    /// The driver's answer was bad.
    void add(Event.Kind kind, FaultRecord fault) {
        lock.lock();
        try {
            Bad now = bad.computeIfAbsent(kind, _ -> new Bad());
            Page page = new Page(fault.request().region(), fault.request().page());
            if (now.pages.size() < MAX_PAGES || now.pages.contains(page)) {
                now.pages.add(page);
            } else {
                now.hasMore = true;
            }
            now.detail = DriverTrouble.words(fault);
            isBad = true;
        } finally {
            lock.unlock();
        }
    }

    /// The driver answered well.
    void remove(FaultRecord fault) {
        if (!isBad) {
            return;
        }
        lock.lock();
        try {
            bad.values().forEach(it -> it.pages.removeIf(page -> covers(fault, page)));
            bad.values().removeIf(it -> it.pages.isEmpty() && !it.hasMore);
            isBad = !bad.isEmpty();
        } finally {
            lock.unlock();
        }
    }

    /// A grant may be for more pages than the one that faulted.
    private static boolean covers(FaultRecord fault, Page page) {
        if (page.region != fault.request().region()) {
            return false;
        }
        return page.page == fault.request().page()
                || (fault.reply() instanceof FaultRecord.Reply.Granted(var grant)
                        && page.page >= grant.firstPage()
                        && page.page < grant.firstPage() + grant.pfns().npages());
    }

    /// The device starts anew.
    void clear() {
        lock.lock();
        try {
            bad.clear();
            isBad = false;
        } finally {
            lock.unlock();
        }
    }

    List<Trouble> troubles() {
        lock.lock();
        try {
            return bad.entrySet().stream()
                    .map(it ->
                            new Trouble(
                                    mdev, it.getKey(), it.getValue().since, it.getValue().detail))
                    .toList();
        } finally {
            lock.unlock();
        }
    }
}
