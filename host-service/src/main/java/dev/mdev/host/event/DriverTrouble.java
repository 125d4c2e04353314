package dev.mdev.host.event;

import dev.mdev.core.device.CallReport;
import dev.mdev.core.device.FaultRecord;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevObserver;

import org.springframework.stereotype.Component;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/// Notes what goes wrong with drivers. A guest that touches the same bad page in a loop must not
/// fill the log, so that a device's troubles are noted once a second, with the number left out.
@Component
class DriverTrouble implements MdevObserver {
    private static final long PAUSE_NANOS = 1_000_000_000;

    private final EventLog events;
    private final Map<String, Throttle> throttles = new ConcurrentHashMap<>();

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
        long leftOut = admit(subjectOf(mdev));
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
                                leftOut(leftOut)));
    }

    private long admit(String subject) {
        return throttles.computeIfAbsent(subject, _ -> new Throttle()).admit(System.nanoTime());
    }

    private static String leftOut(long number) {
        return number == 0 ? "" : " (" + number + " more before this one)";
    }

    /// Of a callback that is not over, an event of the bus tells.
    @Override
    public void slowCallback(CallReport report) {
        if (!report.finished()) {
            return;
        }
        String subject = BusEvents.subjectOf(report);
        long leftOut = admit("slow " + subject);
        if (leftOut >= 0) {
            events.add(
                    Event.Kind.CALLBACK_SLOW, subject, BusEvents.words(report) + leftOut(leftOut));
        }
    }

    @Override
    public void created(Mdev mdev) {
        events.add(Event.Kind.MDEV_CREATED, subjectOf(mdev), mdev.toString());
    }

    @Override
    public void removed(Mdev mdev) {
        throttles.remove(subjectOf(mdev));
        throttles.remove("slow " + subjectOf(mdev));
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
