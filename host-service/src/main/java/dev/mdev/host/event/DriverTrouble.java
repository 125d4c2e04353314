package dev.mdev.host.event;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

import org.springframework.stereotype.Component;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/// Notes what goes wrong with drivers. A guest that touches the same bad page in a loop must not
/// fill the log, so that a device's troubles are noted once a second, with the number left out.
@Component
class DriverTrouble implements MdevObserver {
    /// How many subjects of slow callbacks are remembered.
    static final int MAX_SLOW = 1024;

    private final EventLog events;

    /// Of devices that are there. That a guest still touches one that was taken from it is no
    /// failure of the driver, which is not even asked.
    private final Map<Mdev, Throttle> devices = new ConcurrentHashMap<>();

    private final ReentrantLock slowLock = new ReentrantLock();

    /// By subject, the last used one last. Not all of these are there: a callback may be slow of a
    /// device that is then not made.
    @GuardedBy("slowLock")
    private final LinkedHashMap<String, Throttle> slow = new LinkedHashMap<>(16, 0.75f, true);

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
        Throttle throttle = devices.get(mdev);
        long leftOut = throttle == null ? -1 : throttle.admit();
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
                                Throttle.words(leftOut)));
    }

    /// Of a callback that is not over, an event of the bus tells.
    @Override
    public void slowCallback(CallReport report) {
        if (!report.finished()) {
            return;
        }
        String subject = BusEvents.subjectOf(report);
        long leftOut = slowThrottle(subject).admit();
        if (leftOut >= 0) {
            events.add(
                    Event.Kind.CALLBACK_SLOW,
                    subject,
                    BusEvents.words(report) + Throttle.words(leftOut));
        }
    }

    private Throttle slowThrottle(String subject) {
        slowLock.lock();
        try {
            Throttle throttle = slow.computeIfAbsent(subject, _ -> new Throttle());
            if (slow.size() > MAX_SLOW) {
                slow.pollFirstEntry();
            }
            return throttle;
        } finally {
            slowLock.unlock();
        }
    }

    @Override
    public void event(MdevEvent event) {
        if (event.fact() instanceof MdevEvent.Revoked taken) {
            devices.keySet().removeIf(mdev -> mdev.uuid().equals(taken.uuid()));
        }
    }

    @Override
    public void created(Mdev mdev) {
        devices.put(mdev, new Throttle());
        events.add(Event.Kind.MDEV_CREATED, subjectOf(mdev), mdev.toString());
    }

    @Override
    public void removed(Mdev mdev) {
        devices.remove(mdev);
        events.add(Event.Kind.MDEV_REMOVED, subjectOf(mdev), mdev.toString());
    }

    private static String subjectOf(Mdev mdev) {
        return "mdevs/" + mdev.uuid();
    }
}
