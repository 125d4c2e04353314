package dev.mdev.core.elastic;

import org.jspecify.annotations.Nullable;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;

/// What one device has of a pool: its units, its physical pages, and the order in which it would
/// give them up. The pool's lock guards it; it takes none itself.
///
/// A *frame* is the physical memory of one unit, named by its first pfn. A frame is spare, which
/// means clean and without a unit, or it is the frame of a unit.
final class Holding {
    /// The most entries of the queue that one sweep looks at.
    private static final int MAX_SWEEP = 4096;

    /// How many referenced units a sweep passes over for each unit that it wants.
    private static final int SECOND_CHANCES = 4;

    final int minUnits;
    final int maxUnits;
    private final @Nullable Unit[] units;

    /// Frames without content, in the order of their use.
    final ArrayDeque<Long> spares = new ArrayDeque<>();

    /// Resident units, the one that has been asked for the longest ago first. Others may be among
    /// them: they are dropped when the hand meets them.
    private final ArrayDeque<Unit> queue = new ArrayDeque<>();

    /// All frames, including those of units in transit.
    int held;

    /// Frames that another device is about to get.
    int leaving;

    /// Frames that this device is about to get.
    int arriving;

    /// Hand-overs in progress that it gives frames to or gets frames from.
    int transfers;

    int pinned;

    /// No longer asked to give anything up.
    boolean retired;

    /// Its device has ended: nothing is brought in any more.
    boolean ended;

    /// Its driver is being asked.
    boolean asked;

    /// Its driver is not asked before this time, because it refused.
    long quietUntilNanos;

    Holding(int minUnits, int maxUnits, List<Long> frames) {
        this.minUnits = minUnits;
        this.maxUnits = maxUnits;
        this.units = new Unit[maxUnits];
        spares.addAll(frames);
        held = frames.size();
    }

    Unit unit(int index) {
        Unit unit = units[index];
        if (unit == null) {
            unit = new Unit(index);
            units[index] = unit;
        }
        return unit;
    }

    /// A unit that may have been used; null if it surely was not.
    @Nullable Unit find(int index) {
        return units[index];
    }

    /// Units that were used at some time.
    List<Unit> known() {
        List<Unit> known = new ArrayList<>();
        for (Unit unit : units) {
            if (unit != null) {
                known.add(unit);
            }
        }
        return known;
    }

    /// Frames above the minimum that are not promised to another device.
    int surplus() {
        return held - leaving - minUnits;
    }

    /// Whether it has more above its minimum than the other, in proportion to the minimums.
    boolean isRicher(int surplus, Holding other, int othersSurplus) {
        return (long) surplus * other.minUnits > (long) othersSurplus * minUnits;
    }

    /// A unit has its content in a frame from now on.
    void arrive(Unit unit, long frame, long nowNanos) {
        unit.state = Unit.State.RESIDENT;
        unit.pfn = frame;
        unit.arrivedNanos = nowNanos;
        unit.referenced = true;
        enqueue(unit);
    }

    /// A unit stays after all.
    void stay(Unit unit) {
        unit.state = Unit.State.RESIDENT;
        unit.referenced = true;
        enqueue(unit);
    }

    private void enqueue(Unit unit) {
        if (!unit.queued) {
            unit.queued = true;
            queue.addLast(unit);
        }
    }

    /// The units to give up.
    ///
    /// @param victims the units; they are LEAVING now
    /// @param aged units that lost their second chance: if nobody asks for them until the hand
    ///   comes again, they go. Their mappings must be revoked, or nobody would have to ask
    /// @param waitNanos if there are no victims, how long until one is old enough; MAX_VALUE if
    ///   that would not help
    record Pick(List<Unit> victims, List<Unit> aged, long waitNanos) {}

    /// Moves the clock's hand: picks up to `most` units that were not asked for since it last
    /// passed, and that have been resident for `stayNanos`. If it passes too many others, it picks
    /// the oldest of those.
    Pick sweep(int most, long nowNanos, long stayNanos) {
        List<Unit> victims = new ArrayList<>();
        List<Unit> aged = new ArrayList<>();
        long waitNanos = Long.MAX_VALUE;
        int steps = Math.min(queue.size(), MAX_SWEEP);
        while (steps > 0 && victims.size() < most && aged.size() < most * SECOND_CHANCES) {
            steps--;
            Unit unit = queue.removeFirst();
            if (unit.state != Unit.State.RESIDENT) {
                unit.queued = false;
                continue;
            }
            long restNanos = unit.arrivedNanos + stayNanos - nowNanos;
            if (unit.copies + unit.pins > 0) {
                queue.addLast(unit);
            } else if (restNanos > 0) {
                waitNanos = Math.min(waitNanos, restNanos);
                queue.addLast(unit);
            } else if (unit.referenced) {
                unit.referenced = false;
                aged.add(unit);
                queue.addLast(unit);
            } else {
                unit.queued = false;
                victims.add(unit);
            }
        }
        int missing = Math.min(most - victims.size(), aged.size());
        List<Unit> oldest = aged.subList(0, missing);
        victims.addAll(oldest);
        oldest.clear();
        victims.forEach(unit -> unit.state = Unit.State.LEAVING);
        return new Pick(victims, aged, waitNanos);
    }
}
