package dev.mdev.host.access;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.store.Journal;
import dev.mdev.core.store.JournalLine;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/// Which tenant owns what, in the file `owners`, and what each takes of its quota.
///
/// A claim is written before its thing is made, so that nothing ever exists without its owner. A
/// claim whose thing does not exist, because it was never made or has ended, is dropped at the next
/// look: no verb needs to tell of an end.
///
/// Any thread may call all methods. Lock: `lock`, held during I/O; under it, [Existing] takes the
/// locks of the bus and of the machines, which are never held while this one is taken.
@Component
public final class Claims {
    private static final Logger log = LoggerFactory.getLogger(Claims.class);
    private static final String FILE = "owners";
    private static final String KIND = "owner";
    private static final String POOL_PREFIX = "pool";

    /// The maximum number of things that are remembered after their end, for their events.
    private static final int MAX_FORMER = 4096;

    private final AccessProperties properties;
    private final ObjectProvider<Existing> existing;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Journal journal;

    @GuardedBy("lock")
    private final Map<Subject, Claim> claims = new LinkedHashMap<>();

    /// The last tenants of things that have ended, the oldest first.
    @GuardedBy("lock")
    private final LinkedHashMap<Subject, String> former = new LinkedHashMap<>();

    /// What somebody owns, or is about to.
    ///
    /// @param tenant null for the host itself; only while the thing is being made
    /// @param isMade whether the maker has finished
    private record Claim(@Nullable String tenant, Cost cost, boolean isMade) {}

    /// @throws dev.mdev.api.MdevException the files' error
    Claims(AccessFiles files, AccessProperties properties, ObjectProvider<Existing> existing) {
        this.properties = properties;
        this.existing = existing;
        this.journal = Journal.open(files.files(), FILE);
        Journal.Content content = journal.read();
        for (String text : content.texts()) {
            try {
                JournalLine line = JournalLine.decode(text);
                claims.put(subjectOf(line), claimOf(line));
            } catch (RuntimeException e) {
                journal.keepCopy();
                log.error("a line of the file of owners means nothing: {}", e.toString());
            }
        }
        content.damage()
                .ifPresent(what ->
                        log.error(
                                "the file of owners is damaged at {}: some devices may belong to no"
                                        + " tenant",
                                what));
    }

    private static Subject subjectOf(JournalLine line) {
        return new Subject(line.constant("kind", Subject.Kind.class), line.get("name"));
    }

    private static Claim claimOf(JournalLine line) {
        Map<String, Long> pages = new HashMap<>();
        for (int i = 0; line.values().containsKey(POOL_PREFIX + i); i++) {
            pages.put(line.get(POOL_PREFIX + i), line.number("pages" + i));
        }
        Cost cost =
                new Cost(
                        (int) line.number("devices"),
                        (int) line.number("machines"),
                        line.number("ram"),
                        pages);
        return new Claim(line.get("tenant"), cost, true);
    }

    private static String encode(Subject subject, String tenant, Cost cost) {
        JournalLine line =
                JournalLine.of(KIND)
                        .with("kind", JournalLine.wordOf(subject.kind()))
                        .with("name", subject.name())
                        .with("tenant", tenant)
                        .with("devices", cost.devices())
                        .with("machines", cost.machines())
                        .with("ram", cost.ramBytes());
        int i = 0;
        for (Map.Entry<String, Long> pool : new TreeMap<>(cost.pages()).entrySet()) {
            line = line.with(POOL_PREFIX + i, pool.getKey()).with("pages" + i, pool.getValue());
            i++;
        }
        return line.encode();
    }

    /// The right to make a thing. Unless it is settled before its end, nothing was made.
    public interface Making extends AutoCloseable {
        /// The thing is made.
        void settle();

        @Override
        void close();
    }

    private static final Making NOT_NEEDED =
            new Making() {
                @Override
                public void settle() {}

                @Override
                public void close() {}
            };

    /// Claims a thing for the caller's tenant, before it is made. If it exists and is the caller's,
    /// this does nothing, and whatever makes it again says so.
    ///
    /// @throws ProblemException `exists` if another owns it; `unavailable` if it is being made;
    ///   `no-capacity` if the tenant's quota does not suffice
    /// @throws dev.mdev.api.MdevException the files' error
    public Making claim(Subject subject, Caller caller, Cost cost) {
        String tenant = caller.reach().tenant();
        lock.lock();
        try {
            dropEndedLocked();
            Claim there = claims.get(subject);
            if (there != null) {
                requireOwn(subject, there, tenant);
                growLocked(subject, there, cost);
                return NOT_NEEDED;
            }
            if (exists(subject)) {
                return NOT_NEEDED;
            }
            if (tenant != null) {
                requireWithinQuotaLocked(tenant, cost);
            }
            claims.put(subject, new Claim(tenant, cost, false));
            try {
                if (tenant != null) {
                    writeLocked();
                }
            } catch (RuntimeException e) {
                claims.remove(subject);
                throw e;
            }
        } finally {
            lock.unlock();
        }
        return new Pending(subject);
    }

    /// Refuses what [#claim] would refuse now. Changes nothing.
    ///
    /// @throws ProblemException as [#claim]
    public void check(Subject subject, Caller caller, Cost cost) {
        String tenant = caller.reach().tenant();
        lock.lock();
        try {
            dropEndedLocked();
            Claim there = claims.get(subject);
            if (there != null) {
                requireOwn(subject, there, tenant);
            } else if (tenant != null && !exists(subject)) {
                requireWithinQuotaLocked(tenant, cost);
            }
        } finally {
            lock.unlock();
        }
    }

    private static void requireOwn(Subject subject, Claim there, @Nullable String tenant) {
        if (tenant != null && !tenant.equals(there.tenant())) {
            throw new ProblemException(Problem.EXISTS, "%s belongs to another".formatted(subject));
        }
        if (!there.isMade()) {
            throw new ProblemException(Problem.UNAVAILABLE, "%s is being made".formatted(subject));
        }
    }

    /// A definition whose parent was absent did not know its pages.
    @GuardedBy("lock")
    private void growLocked(Subject subject, Claim there, Cost cost) {
        String tenant = there.tenant();
        if (tenant == null || !there.cost().pages().isEmpty() || cost.pages().isEmpty()) {
            return;
        }
        claims.remove(subject);
        Claim next = there;
        try {
            requireWithinQuotaLocked(tenant, cost);
            next = new Claim(tenant, cost, true);
        } finally {
            claims.put(subject, next);
        }
        writeLocked();
    }

    @GuardedBy("lock")
    private void requireWithinQuotaLocked(String tenant, Cost cost) {
        quotaOf(tenant)
                .flatMap(quota -> quota.excess(usageLocked(tenant).plus(cost)))
                .ifPresent(excess -> {
                    throw new ProblemException(
                            Problem.NO_CAPACITY,
                            "the quota of tenant=%s does not suffice: %s"
                                    .formatted(tenant, excess));
                });
    }

    Optional<Quota> quotaOf(String tenant) {
        return Optional.ofNullable(properties.tenantQuotas().get(tenant));
    }

    /// What a tenant has.
    Cost usage(String tenant) {
        lock.lock();
        try {
            dropEndedLocked();
            return usageLocked(tenant);
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private Cost usageLocked(String tenant) {
        return claims.values().stream()
                .filter(claim -> tenant.equals(claim.tenant()))
                .map(Claim::cost)
                .reduce(Cost.NOTHING, Cost::plus);
    }

    /// The tenants that have something.
    List<String> tenants() {
        lock.lock();
        try {
            return claims.values().stream()
                    .flatMap(claim -> Stream.ofNullable(claim.tenant()))
                    .distinct()
                    .toList();
        } finally {
            lock.unlock();
        }
    }

    /// The tenant that owns a thing, or owned it until its end.
    Optional<String> tenantOf(Subject subject) {
        lock.lock();
        try {
            Claim claim = claims.get(subject);
            return claim == null
                    ? Optional.ofNullable(former.get(subject))
                    : Optional.ofNullable(claim.tenant());
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void dropEndedLocked() {
        List<Subject> ended =
                claims.entrySet().stream()
                        .filter(it -> it.getValue().isMade() && !exists(it.getKey()))
                        .map(Map.Entry::getKey)
                        .toList();
        for (Subject subject : ended) {
            Claim claim = claims.remove(subject);
            if (claim != null && claim.tenant() != null) {
                former.put(subject, claim.tenant());
            }
            if (former.size() > MAX_FORMER) {
                former.pollFirstEntry();
            }
        }
        // They are not written: after a restart, they are dropped again.
    }

    private boolean exists(Subject subject) {
        return existing.stream()
                .filter(it -> it.kind() == subject.kind())
                .anyMatch(it -> it.exists(subject.name()));
    }

    @GuardedBy("lock")
    private void writeLocked() {
        List<String> lines = new ArrayList<>();
        claims.forEach((subject, claim) -> {
            if (claim.tenant() != null) {
                lines.add(encode(subject, claim.tenant(), claim.cost()));
            }
        });
        journal.rewrite(lines);
    }

    private final class Pending implements Making {
        private final Subject subject;
        private boolean settled;

        Pending(Subject subject) {
            this.subject = subject;
        }

        @Override
        public void settle() {
            settled = true;
        }

        /// A claim of the host itself is no longer needed. The line of a claim without a thing may
        /// stay in the file.
        @Override
        public void close() {
            lock.lock();
            try {
                claims.computeIfPresent(
                        subject,
                        (_, claim) ->
                                settled && claim.tenant() != null
                                        ? new Claim(claim.tenant(), claim.cost(), true)
                                        : null);
            } finally {
                lock.unlock();
            }
        }
    }
}
