package dev.mdev.core.mmu;

import dev.mdev.core.sync.GuestHold;
import dev.mdev.core.topology.VcpuPause;

import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLongFieldUpdater;
import java.util.concurrent.locks.LockSupport;

/// Lets a thread that removed a translation wait for all vCPUs that still use it: the flush request
/// and its acknowledgement, as an inter-processor interrupt and `vcpu->mode` do for hardware (Linux
/// `kvm_make_all_cpus_request`).
///
/// A vCPU is *inside* while it executes guest accesses. Before each access it checks for a flush
/// request ([Seat#flushRequested]); if there is one, it drops its cached translations and
/// acknowledges. [#flush] requests a flush from all seats and returns when each has acknowledged or
/// was seen outside.
///
/// ## Why it is right
///
/// The remover changes the table, then increments `requested`, then reads `inside`. A vCPU sets
/// `inside`, then reads `requested`. All four are volatile, so at least one of the two sees the
/// other: either the remover sees the vCPU inside and waits, or the vCPU sees the request when it
/// enters. An access runs between two checks; the acknowledgement is a release store after it, and
/// the remover reads it, so an access that used the old translation happened before the return.
///
/// The check costs one load and a compare, no fence.
public final class AccessGate implements VcpuPause {
    private static final int SPINS = 500;
    private static final long PARK_NANOS = 20_000;

    private final CopyOnWriteArrayList<Seat> seats = new CopyOnWriteArrayList<>();

    private final GuestHold hold = new GuestHold();

    /// A new vCPU, outside.
    public Seat newSeat() {
        Seat seat = new Seat();
        seats.add(seat);
        return seat;
    }

    /// Removes a vCPU that has ended.
    public void remove(Seat seat) {
        seats.remove(seat);
    }

    /// Returns when every earlier access has ended, and every vCPU will drop its cached
    /// translations before its next access. Must not be called by a thread that is inside, or with
    /// a leaf lock held.
    public void flush() {
        tryFlush(Long.MAX_VALUE);
    }

    /// As [#flush], but gives up on a vCPU after `maxLooks` checks: a search of interleavings
    /// cannot follow a thread that waits in a loop.
    ///
    /// @return false if it gave up: an access may still be running
    boolean tryFlush(long maxLooks) {
        for (Seat seat : seats) {
            seat.request();
        }
        boolean all = true;
        for (Seat seat : seats) {
            all &= seat.awaitAcknowledged(maxLooks);
        }
        return all;
    }

    /// Keeps the vCPUs out, including those that access memory in the guest's place
    /// ([Seat#stepOut]).
    @Override
    public Hold hold() {
        hold.begin();
        for (Seat seat : seats) {
            seat.request();
        }
        for (Seat seat : seats) {
            seat.awaitOut();
        }
        return hold::end;
    }

    /// One vCPU's place at the gate. Its thread calls all methods, except those of the gate.
    public final class Seat {
        private static final AtomicLongFieldUpdater<Seat> REQUESTED =
                AtomicLongFieldUpdater.newUpdater(Seat.class, "requested");

        private volatile long requested;
        private volatile long acknowledged;
        private volatile boolean inside;

        /// Whether it accesses memory in the guest's place.
        private volatile boolean acting;

        /// The last request that was acknowledged, as the vCPU's thread knows it.
        private long served;

        /// Begins to execute guest accesses, when no thread holds the vCPUs. Must be followed by a
        /// check of [#flushRequested].
        public void enter() {
            inside = true;
            acting = false;
            while (hold.isHeld()) {
                inside = false;
                hold.awaitReleased();
                inside = true;
            }
        }

        /// Stops executing guest accesses.
        public void leave() {
            inside = false;
        }

        /// Stops executing guest accesses in order to access memory in the guest's place, until
        /// [#enter]: a flush does not wait for it any more, only a hold does.
        public void stepOut() {
            acting = true;
            inside = false;
        }

        /// Whether to drop cached translations before the next access. If so, call
        /// [#acknowledgeAfter].
        public boolean flushRequested() {
            return requested != served;
        }

        /// Drops cached translations and acknowledges the requests made before that; then stays out
        /// while a thread holds the vCPUs, so that there may be new requests.
        ///
        /// @param drop drops everything derived from the tables
        public void acknowledgeAfter(Runnable drop) {
            // Read first: this must not acknowledge a request that comes during the drop.
            long seen = requested;
            drop.run();
            served = seen;
            acknowledged = seen;
            if (hold.isHeld()) {
                enter();
            }
        }

        private void request() {
            REQUESTED.incrementAndGet(this);
        }

        private void awaitOut() {
            for (long looks = 0; inside || acting; looks++) {
                pause(looks);
            }
        }

        private void pause(long looks) {
            if (looks < SPINS) {
                Thread.onSpinWait();
            } else {
                // The vCPU's thread may have been preempted in the middle of an access.
                LockSupport.parkNanos(this, PARK_NANOS);
            }
        }

        private boolean awaitAcknowledged(long maxLooks) {
            long wanted = requested;
            for (long looks = 0; looks < maxLooks; looks++) {
                if (!inside || acknowledged >= wanted) {
                    return true;
                }
                pause(looks);
            }
            return false;
        }
    }
}
