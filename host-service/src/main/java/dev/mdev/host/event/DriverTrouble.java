package dev.mdev.host.event;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.driver.Throttle;
import dev.mdev.core.mapping.FaultRecord;

import org.springframework.stereotype.Component;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;

/// Records troubles with drivers. A guest that touches the same bad page in a loop must not fill
/// the log, so a device's troubles are recorded once per second, with the number of suppressed
/// ones.
@Component
class DriverTrouble implements MdevObserver {
    /// The maximum number of remembered subjects of slow callbacks.
    static final int MAX_SLOW = 1024;

    private final EventLog events;

    /// Of existing devices. When a guest still touches a device that it lost, the driver is not
    /// asked, so that is no failure of the driver.
    private final Map<Mdev, Throttle> devices = new ConcurrentHashMap<>();

    /// Of existing devices, whose guests may reset them as often as they like.
    private final Map<Mdev, Throttle> resets = new ConcurrentHashMap<>();

    private final ReentrantLock slowLock = new ReentrantLock();

    /// By subject, the last used one last. Some may not exist: a callback may be slow for a device
    /// whose creation then fails.
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

    @Override
    public void resetByGuest(Mdev mdev) {
        Throttle throttle = resets.get(mdev);
        long leftOut = throttle == null ? -1 : throttle.admit();
        if (leftOut >= 0) {
            events.add(
                    Event.Kind.MDEV_RESET, subjectOf(mdev), "by=guest" + Throttle.words(leftOut));
        }
    }

    private void note(Mdev mdev, Event.Kind kind, FaultRecord fault) {
        Throttle throttle = devices.get(mdev);
        long leftOut = throttle == null ? -1 : throttle.admit();
        if (leftOut < 0) {
            return;
        }
        events.add(kind, subjectOf(mdev), words(fault) + Throttle.words(leftOut));
    }

    static String words(FaultRecord fault) {
        return "region=%d page=0x%x access=%s: %s"
                .formatted(
                        fault.request().region(),
                        fault.request().page(),
                        fault.request().access(),
                        fault.answer());
    }

    @Override
    public void slowCallback(CallReport report) {
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
        if (event.fact() instanceof MdevEvent.Started started) {
            devices.put(started.mdev(), new Throttle());
            resets.put(started.mdev(), new Throttle());
        } else if (event.fact() instanceof MdevEvent.Stopped stopped) {
            devices.remove(stopped.mdev());
            resets.remove(stopped.mdev());
        } else if (event.fact() instanceof MdevEvent.Revoked taken) {
            devices.keySet().removeIf(mdev -> mdev.uuid().equals(taken.uuid()));
        }
    }

    private static String subjectOf(Mdev mdev) {
        return "mdevs/" + mdev.uuid();
    }
}
