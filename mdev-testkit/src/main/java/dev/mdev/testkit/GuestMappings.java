package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.GrantCheck;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.BooleanSupplier;
import java.util.function.LongFunction;
import java.util.function.Supplier;

/// One guest's mappings of one device: for each page of each region, a physical page and rights.
///
/// Accesses hold the read lock while they translate and touch memory; a revocation holds the write
/// lock: when it returns, no earlier access still uses an old page.
final class GuestMappings {
    /// A mapped page.
    record Entry(long pfn, Prot prot) {}

    /// A page of a region.
    private record Key(int region, long page) {}

    /// A request that the driver is answering; concurrent revocations are recorded here.
    private static final class Ticket {
        private final int region;
        private final List<PfnRange> revokedPages = new ArrayList<>();

        private Ticket(int region) {
            this.region = region;
        }
    }

    /// The result of an attempt to install a grant.
    private enum Installed {
        /// It is mapped.
        YES,
        /// A revocation overtook it: ask again.
        REVOKED_MEANWHILE,
        /// A neighbour is mapped to another physical page and was not revoked.
        CONFLICT
    }

    private final InMemoryHost host;

    private volatile BooleanSupplier overtaken = () -> false;

    private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock();

    @GuardedBy("lock")
    private final Map<Key, Entry> entries = new HashMap<>();

    @GuardedBy("lock")
    private final Map<Key, Boolean> everRevoked = new HashMap<>();

    @GuardedBy("lock")
    private final List<Ticket> open = new ArrayList<>();

    GuestMappings(InMemoryHost host) {
        this.host = host;
    }

    /// See [InMemoryMdev#setOvertaken].
    void setOvertaken(BooleanSupplier when) {
        overtaken = when;
    }

    /// Sends a request to the driver, checks the answer, and maps the grant.
    MapDecision answer(MapRequest request, GrantCheck check, Supplier<MapDecision> driver) {
        Ticket ticket = ask(request.region());
        try {
            MapDecision decision = driver.get();
            if (decision instanceof MapDecision.Grant grant) {
                install(ticket, request, grant, check);
            }
            return decision;
        } finally {
            drop(ticket);
        }
    }

    private void install(
            Ticket ticket, MapRequest request, MapDecision.Grant grant, GrantCheck check) {
        check.violation(request, grant)
                .ifPresent(rule -> {
                    throw host.violation(rule + ": " + request + " " + grant);
                });
        if (overtaken.getAsBoolean()) {
            revoke(request.region(), grant.firstPage(), grant.pfns().npages());
        }
        long mayMove = request.reason() == MapRequest.Reason.UPGRADE ? request.page() : -1;
        if (install(ticket, grant, mayMove) == Installed.CONFLICT) {
            throw host.violation(
                    "the grant moves a page that is mapped and was not revoked: "
                            + request
                            + " "
                            + grant);
        }
    }

    /// Does an access through the mapping of a page, if there is one with sufficient rights.
    <T> Optional<T> access(int region, long page, Access access, LongFunction<T> body) {
        lock.readLock().lock();
        try {
            Entry entry = entries.get(new Key(region, page));
            return entry != null && entry.prot().allows(access)
                    ? Optional.of(body.apply(entry.pfn()))
                    : Optional.empty();
        } finally {
            lock.readLock().unlock();
        }
    }

    @Nullable Entry entry(int region, long page) {
        lock.readLock().lock();
        try {
            return entries.get(new Key(region, page));
        } finally {
            lock.readLock().unlock();
        }
    }

    boolean wasRevoked(int region, long page) {
        lock.readLock().lock();
        try {
            return everRevoked.containsKey(new Key(region, page));
        } finally {
            lock.readLock().unlock();
        }
    }

    /// Begins a request to the driver. End it with [#install] or [#drop].
    private Ticket ask(int region) {
        Ticket ticket = new Ticket(region);
        lock.writeLock().lock();
        try {
            open.add(ticket);
        } finally {
            lock.writeLock().unlock();
        }
        return ticket;
    }

    private void drop(Ticket ticket) {
        lock.writeLock().lock();
        try {
            open.remove(ticket);
        } finally {
            lock.writeLock().unlock();
        }
    }

    /// Maps the grant, unless one of its pages was revoked since the request. Mapped pages keep the
    /// wider of their rights.
    ///
    /// @param mayMove the page that may change its physical page, because it becomes writable; -1
    ///   for none
    private Installed install(Ticket ticket, MapDecision.Grant grant, long mayMove) {
        lock.writeLock().lock();
        try {
            open.remove(ticket);
            PfnRange pages = new PfnRange(grant.firstPage(), grant.pfns().npages());
            if (ticket.revokedPages.stream().anyMatch(pages::overlaps)) {
                return Installed.REVOKED_MEANWHILE;
            }
            for (long i = 0; i < pages.npages(); i++) {
                long page = pages.firstPfn() + i;
                Entry old = entries.get(new Key(ticket.region, page));
                if (old != null && page != mayMove && old.pfn() != grant.pfns().firstPfn() + i) {
                    return Installed.CONFLICT;
                }
            }
            for (long i = 0; i < pages.npages(); i++) {
                Entry entry = new Entry(grant.pfns().firstPfn() + i, grant.prot());
                entries.merge(
                        new Key(ticket.region, pages.firstPfn() + i),
                        entry,
                        (old, fresh) ->
                                old.pfn() == fresh.pfn() && old.prot().includes(fresh.prot())
                                        ? old
                                        : fresh);
            }
            return Installed.YES;
        } finally {
            lock.writeLock().unlock();
        }
    }

    /// Removes pages, and makes every open request for them be asked again.
    void revoke(int region, long firstPage, long npages) {
        PfnRange pages = new PfnRange(firstPage, Math.min(npages, Long.MAX_VALUE - firstPage));
        lock.writeLock().lock();
        try {
            open.stream()
                    .filter(ticket -> ticket.region == region)
                    .forEach(ticket -> ticket.revokedPages.add(pages));
            entries.keySet()
                    .removeIf(key -> {
                        boolean hit = key.region() == region && pages.contains(key.page());
                        if (hit) {
                            everRevoked.put(key, true);
                        }
                        return hit;
                    });
        } finally {
            lock.writeLock().unlock();
        }
    }

    /// Removes everything, as when the device is reset or assigned to another guest.
    void clear() {
        lock.writeLock().lock();
        try {
            for (Ticket ticket : open) {
                ticket.revokedPages.add(new PfnRange(0, Long.MAX_VALUE));
            }
            entries.clear();
            everRevoked.clear();
        } finally {
            lock.writeLock().unlock();
        }
    }

    /// Pages of a region that are mapped, in no order.
    List<Long> pages(int region) {
        lock.readLock().lock();
        try {
            return entries.keySet().stream()
                    .filter(key -> key.region() == region)
                    .map(Key::page)
                    .toList();
        } finally {
            lock.readLock().unlock();
        }
    }

    /// Mapped pages of a region.
    long count(int region) {
        lock.readLock().lock();
        try {
            return entries.keySet().stream().filter(key -> key.region() == region).count();
        } finally {
            lock.readLock().unlock();
        }
    }
}
