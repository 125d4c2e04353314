package dev.mdev.core.ledger;

import dev.mdev.core.range.RangeSet;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;

/// The state that results from the records of a journal. Not safe for use by several threads.
final class LedgerState {
    /// Verbs that need their definition, so that no earlier verb may delete it.
    private static final Set<Verb> KEEPS_DEFINITION =
            EnumSet.of(Verb.DEFINE, Verb.CREATE_DEFINED, Verb.START);

    private final Map<Long, Unfinished> unfinished = new LinkedHashMap<>();
    private final Map<Device, Subject> active = new LinkedHashMap<>();
    private final Set<Device> doomed = new LinkedHashSet<>();
    private final Map<String, Pages> parents = new TreeMap<>();
    private long nextOp;

    private record Device(String parent, UUID uuid) {
        static Device of(Subject subject) {
            return new Device(subject.parent(), subject.uuid());
        }
    }

    /// The known state of a parent's pages.
    private static final class Pages {
        /// Null if the content of unmarked pages is unknown.
        @Nullable List<PoolRuns> pools;

        final RangeSet dirty = new RangeSet();
        final RangeSet bad = new RangeSet();
    }

    void apply(LedgerRecord fact) {
        switch (fact) {
            case LedgerRecord.Met met -> meet(met);
            case LedgerRecord.Marked marked -> mark(marked);
            case LedgerRecord.Began began -> begin(began);
            case LedgerRecord.Stepped stepped ->
                    unfinished.computeIfPresent(
                            stepped.op(), (_, begun) -> begun.with(stepped.step()));
            case LedgerRecord.Ended ended -> end(ended);
            case LedgerRecord.Active exists -> exist(exists.subject());
            case LedgerRecord.Gone gone -> {
                active.remove(new Device(gone.parent(), gone.uuid()));
                doomed.remove(new Device(gone.parent(), gone.uuid()));
            }
            case LedgerRecord.Doomed doom -> {
                active.remove(new Device(doom.parent(), doom.uuid()));
                doomed.add(new Device(doom.parent(), doom.uuid()));
            }
        }
    }

    private Pages pagesOf(String parent) {
        return parents.computeIfAbsent(parent, _ -> new Pages());
    }

    /// The pages of an unknown or changed parent may have any content.
    private void meet(LedgerRecord.Met met) {
        Pages pages = pagesOf(met.parent());
        if (met.pools().equals(pages.pools)) {
            return;
        }
        if (pages.pools != null) {
            pages.bad.clear();
            pages.dirty.clear();
        }
        pages.pools = met.pools();
        addAll(met.pools(), pages.dirty);
    }

    private void mark(LedgerRecord.Marked marked) {
        Pages pages = pagesOf(marked.parent());
        for (ApertureRun run : marked.runs()) {
            switch (marked.mark()) {
                case DIRTY -> pages.dirty.add(run.firstPage(), run.endPage());
                case CLEAN -> pages.dirty.remove(run.firstPage(), run.endPage());
                case BAD -> pages.bad.add(run.firstPage(), run.endPage());
                case GOOD -> {
                    pages.bad.remove(run.firstPage(), run.endPage());
                    pages.dirty.add(run.firstPage(), run.endPage());
                }
            }
        }
    }

    private void begin(LedgerRecord.Began began) {
        Subject subject = began.subject();
        nextOp = Math.max(nextOp, began.op() + 1);
        unfinished.remove(began.op());
        if (KEEPS_DEFINITION.contains(began.verb())) {
            unfinished.replaceAll(
                    (_, old) -> old.uuid().equals(subject.uuid()) ? old.undefined() : old);
        }
        unfinished.put(began.op(), new Unfinished(began.op(), began.verb(), subject, List.of()));
        if (!subject.share().isEmpty()) {
            addAll(subject.share(), pagesOf(subject.parent()).dirty);
        }
    }

    private void end(LedgerRecord.Ended ended) {
        Unfinished begun = unfinished.remove(ended.op());
        if (begun == null || !ended.done()) {
            return;
        }
        switch (begun.verb()) {
            case CREATE, CREATE_DEFINED, START -> {
                // Its uuid was free: an earlier device of it no longer matters. A later verb
                // concerns this device.
                unfinished
                        .values()
                        .removeIf(other ->
                                other.uuid().equals(begun.uuid()) && other.op() < begun.op());
                exist(begun.subject());
            }
            case ADOPT, MOVE -> exist(begun.subject());
            case STOP, REMOVE -> active.remove(Device.of(begun.subject()));
            case DEFINE, UNDEFINE -> {}
        }
    }

    private void exist(Subject subject) {
        active.put(Device.of(subject), subject);
        doomed.remove(Device.of(subject));
    }

    /// Records may be missing: the content of unmarked pages is unknown.
    void distrust() {
        parents.values().forEach(pages -> pages.pools = null);
    }

    long nextOp() {
        return nextOp;
    }

    List<Unfinished> unfinished() {
        return List.copyOf(unfinished.values());
    }

    List<Subject> active(String parent) {
        return active.values().stream().filter(s -> s.parent().equals(parent)).toList();
    }

    Optional<Subject> active(String parent, UUID uuid) {
        return Optional.ofNullable(active.get(new Device(parent, uuid)));
    }

    boolean isDoomed(String parent, UUID uuid) {
        return doomed.contains(new Device(parent, uuid));
    }

    List<UUID> doomed(String parent) {
        return doomed.stream().filter(d -> d.parent().equals(parent)).map(Device::uuid).toList();
    }

    List<ApertureRun> dirty(String parent) {
        return runs(pagesOf(parent).dirty);
    }

    List<ApertureRun> bad(String parent) {
        return runs(pagesOf(parent).bad);
    }

    /// Records that result in this state. Those of pages come after those of verbs, which would
    /// mark scrubbed pages again.
    List<LedgerRecord> records() {
        List<LedgerRecord> records = new ArrayList<>();
        for (Unfinished begun : unfinished.values()) {
            records.add(new LedgerRecord.Began(begun.op(), begun.verb(), begun.subject()));
            begun.steps().forEach(step -> records.add(new LedgerRecord.Stepped(begun.op(), step)));
        }
        active.values().forEach(subject -> records.add(new LedgerRecord.Active(subject)));
        doomed.forEach(
                device -> records.add(new LedgerRecord.Doomed(device.parent(), device.uuid())));
        parents.forEach((parent, pages) -> addPages(parent, pages, records));
        return records;
    }

    private void addPages(String parent, Pages pages, List<LedgerRecord> records) {
        RangeSet marked = new RangeSet();
        unfinished.values().stream()
                .map(Unfinished::subject)
                .filter(subject -> subject.parent().equals(parent))
                .forEach(subject -> addAll(subject.share(), marked));
        List<PoolRuns> pools = pages.pools;
        if (pools != null) {
            records.add(new LedgerRecord.Met(parent, pools));
            addAll(pools, marked);
        }
        addMark(parent, LedgerRecord.Mark.CLEAN, marked, records);
        addMark(parent, LedgerRecord.Mark.DIRTY, pages.dirty, records);
        addMark(parent, LedgerRecord.Mark.BAD, pages.bad, records);
    }

    private static void addAll(List<PoolRuns> pools, RangeSet set) {
        pools.stream()
                .flatMap(pool -> pool.runs().stream())
                .forEach(run -> set.add(run.firstPage(), run.endPage()));
    }

    private static List<ApertureRun> runs(RangeSet pages) {
        return pages.ranges().stream().map(ApertureRun::of).toList();
    }

    private static void addMark(
            String parent, LedgerRecord.Mark mark, RangeSet pages, List<LedgerRecord> records) {
        if (!pages.isEmpty()) {
            records.add(new LedgerRecord.Marked(parent, mark, runs(pages)));
        }
    }
}
