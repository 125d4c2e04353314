package dev.mdev.core.topology;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.TreeSet;

/// The requests that turn some slots into others.
///
/// An unchanged slot costs nothing; if only the logging changes, the slot changes in place; if its
/// memory is wanted elsewhere, the slot moves, which keeps its dirty bitmap. The rest is deleted
/// and created, because a kernel refuses every other change of a slot. The order is deletions,
/// moves (each after the one that is in its way), creations, changes in place.
final class SlotPlan {
    private final SlotPolicy policy;
    private final List<SlotStep> deletions = new ArrayList<>();
    private final List<SlotStep> moves = new ArrayList<>();
    private final List<SlotStep> creations = new ArrayList<>();
    private final List<SlotStep> changes = new ArrayList<>();

    private SlotPlan(SlotPolicy policy) {
        this.policy = policy;
    }

    /// Plans the way from `current`, by id, to `wanted`.
    ///
    /// @throws MdevException `ENOSPC` if the wanted slots exceed the limit
    static SlotPlan of(Map<Integer, SlotImage> current, List<SlotImage> wanted, SlotPolicy policy) {
        if (wanted.size() > policy.maxSlots()) {
            throw new MdevException(
                    Errno.ENOSPC,
                    "slots=%d maxSlots=%d".formatted(wanted.size(), policy.maxSlots()));
        }
        SlotPlan plan = new SlotPlan(policy);
        plan.match(current, wanted);
        plan.orderMoves();
        return plan;
    }

    /// The requests in their order.
    List<SlotStep> steps() {
        List<SlotStep> steps = new ArrayList<>(deletions);
        steps.addAll(moves);
        steps.addAll(creations);
        steps.addAll(changes);
        return steps;
    }

    /// Whether a guest could see an invalid intermediate state: an address that is backed before
    /// and after but not in between, or a page written after its log was read and before the log
    /// was dropped.
    boolean needsPause() {
        NavigableMap<Long, SlotStep> vacated = new TreeMap<>(Long::compareUnsigned);
        for (SlotStep step : steps()) {
            if (step.dropsLog()) {
                return true;
            }
            if (step.vacates() && step.before() != null) {
                vacated.put(step.before().gpa(), step);
            }
        }
        return steps().stream().anyMatch(step -> refills(step, vacated));
    }

    /// Whether the step creates a slot where another step removed one. (A move over its own old
    /// place is one request and leaves no gap.)
    private static boolean refills(SlotStep step, NavigableMap<Long, SlotStep> vacated) {
        SlotImage after = step.after();
        if (after == null || !step.occupies()) {
            return false;
        }
        Long first = vacated.floorKey(after.gpa());
        for (SlotStep other : vacated.tailMap(first == null ? after.gpa() : first, true).values()) {
            SlotImage before = other.before();
            if (before == null || Long.compareUnsigned(before.gpa(), after.lastGpa()) > 0) {
                return false;
            }
            if (!other.equals(step) && before.overlaps(after)) {
                return true;
            }
        }
        return false;
    }

    private void match(Map<Integer, SlotImage> current, List<SlotImage> wanted) {
        NavigableMap<Long, SlotImage> missing = new TreeMap<>(Long::compareUnsigned);
        wanted.forEach(image -> missing.put(image.gpa(), image));
        Map<Integer, SlotImage> left = new TreeMap<>(current);
        for (Iterator<Map.Entry<Integer, SlotImage>> it = left.entrySet().iterator();
                it.hasNext(); ) {
            Map.Entry<Integer, SlotImage> entry = it.next();
            SlotImage before = entry.getValue();
            SlotImage after = missing.get(before.gpa());
            if (after == null || !after.isSameMemory(before)) {
                continue;
            }
            if (!after.equals(before)) {
                changes.add(new SlotStep(entry.getKey(), before, after));
            }
            missing.remove(before.gpa());
            it.remove();
        }
        if (policy.movableSlots()) {
            matchMoves(left, missing);
        }
        left.forEach((id, before) -> deletions.add(new SlotStep(id, before, null)));
        FreeIds free = new FreeIds(current, left, policy.maxSlots());
        missing.values().forEach(after -> creations.add(new SlotStep(free.take(), null, after)));
    }

    private void matchMoves(Map<Integer, SlotImage> left, NavigableMap<Long, SlotImage> missing) {
        Map<SlotImage, Deque<Integer>> idsByMemory = new HashMap<>();
        left.forEach((id, before) ->
                idsByMemory.computeIfAbsent(before.memory(), _ -> new ArrayDeque<>()).add(id));
        for (Iterator<SlotImage> it = missing.values().iterator(); it.hasNext(); ) {
            SlotImage after = it.next();
            Deque<Integer> ids = idsByMemory.get(after.memory());
            Integer id = ids == null ? null : ids.poll();
            if (id != null) {
                moves.add(new SlotStep(id, left.remove(id), after));
                it.remove();
            }
        }
    }

    /// Sorts the moves so that each goes to a free place. In a circle of moves, one becomes a
    /// deletion and a creation.
    private void orderMoves() {
        List<SlotStep> pending = new ArrayList<>(moves);
        moves.clear();
        while (!pending.isEmpty()) {
            SlotStep next = firstFree(pending);
            if (next != null) {
                moves.add(next);
            } else {
                next = pending.getFirst();
                deletions.add(new SlotStep(next.id(), next.before(), null));
                creations.add(new SlotStep(next.id(), null, next.after()));
            }
            pending.remove(next);
        }
    }

    private static @Nullable SlotStep firstFree(List<SlotStep> pending) {
        NavigableMap<Long, SlotStep> inTheWay = new TreeMap<>(Long::compareUnsigned);
        for (SlotStep step : pending) {
            if (step.before() != null) {
                inTheWay.put(step.before().gpa(), step);
            }
        }
        for (SlotStep step : pending) {
            if (!refills(step, inTheWay)) {
                return step;
            }
        }
        return null;
    }

    /// Ids for new slots: the lowest free ones first, and only then those of deleted slots, so that
    /// a stale reference to a deleted slot names no new one.
    private static final class FreeIds {
        private final TreeSet<Integer> taken;
        private final Deque<Integer> deleted;
        private final int limit;
        private int next;

        FreeIds(Map<Integer, SlotImage> current, Map<Integer, SlotImage> deleted, int limit) {
            this.taken = new TreeSet<>(current.keySet());
            this.deleted = new ArrayDeque<>(deleted.keySet());
            this.limit = limit;
        }

        int take() {
            while (next < limit && taken.contains(next)) {
                next++;
            }
            return next < limit ? next++ : deleted.remove();
        }
    }
}
