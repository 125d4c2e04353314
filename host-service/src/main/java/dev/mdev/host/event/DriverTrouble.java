package dev.mdev.host.event;

import dev.mdev.core.device.FaultRecord;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevObserver;

import org.springframework.stereotype.Component;

import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// Notes what happens on the device bus. A guest that touches the same bad page in a loop must not
/// fill the log, so that a device's troubles are noted once a second, with the number left out.
@Component
class DriverTrouble implements MdevObserver {
    private static final long PAUSE_NANOS = 1_000_000_000;

    private final EventLog events;
    private final Map<UUID, Throttle> throttles = new ConcurrentHashMap<>();

    DriverTrouble(EventLog events) {
        this.events = events;
    }

    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        switch (fault.outcome()) {
            case REFUSED -> note(mdev, Event.Kind.GRANT_REFUSED, fault);
            case FAILED -> note(mdev, Event.Kind.DRIVER_FAILED, fault);
            case GRANTED, TRAPPED, DENIED -> {}
        }
    }

    private void note(Mdev mdev, Event.Kind kind, FaultRecord fault) {
        Throttle throttle = throttles.computeIfAbsent(mdev.uuid(), _ -> new Throttle());
        long leftOut = throttle.admit(System.nanoTime());
        if (leftOut < 0) {
            return;
        }
        events.add(
                kind,
                subjectOf(mdev),
                "region=%d page=0x%x access=%s: %s%s"
                        .formatted(
                                fault.request().region(),
                                fault.request().page(),
                                fault.request().access(),
                                fault.answer(),
                                leftOut == 0 ? "" : " (" + leftOut + " more before this one)"));
    }

    @Override
    public void created(Mdev mdev) {
        events.add(Event.Kind.MDEV_CREATED, subjectOf(mdev), mdev.toString());
    }

    @Override
    public void removed(Mdev mdev) {
        throttles.remove(mdev.uuid());
        events.add(Event.Kind.MDEV_REMOVED, subjectOf(mdev), mdev.toString());
    }

    private static String subjectOf(Mdev mdev) {
        return "mdevs/" + mdev.uuid();
    }

    /// Lets one through a second.
    private static final class Throttle {
        private final AtomicLong nextNanos = new AtomicLong(System.nanoTime());
        private final AtomicLong leftOut = new AtomicLong();

        /// @return how many were left out since the last that was let through, or -1 to leave this
        ///   one out as well
        long admit(long nowNanos) {
            long next = nextNanos.get();
            if (nowNanos - next >= 0 && nextNanos.compareAndSet(next, nowNanos + PAUSE_NANOS)) {
                return leftOut.getAndSet(0);
            }
            leftOut.incrementAndGet();
            return -1;
        }
    }
}
