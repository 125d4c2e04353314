package dev.mdev.core.bus;

import dev.mdev.api.ReportLevel;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevListener;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

/// Passes the reports of the parts of a bus to its observer, and events to its queue.
public final class BusObserver implements MdevListener {
    private final MdevObserver observer;
    private final EventQueue events;
    private final long slowNanos;

    public BusObserver(BusOptions options) {
        observer = options.observer();
        slowNanos = options.slowCallback().toNanos();
        events = new EventQueue(observer::event);
    }

    void event(MdevEvent.Fact fact) {
        events.add(fact);
    }

    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        tell(() -> observer.faulted(mdev, fault));
    }

    /// A callback of a device returned or threw, on this thread.
    @Override
    public void called(Mdev mdev, String callback, long durationNanos) {
        tell(() -> observer.called(mdev, callback, durationNanos));
        if (durationNanos >= slowNanos) {
            called("mdev=" + mdev.uuid(), callback, durationNanos);
        }
    }

    /// A callback of a driver or a parent returned or threw, on this thread.
    void called(String owner, String callback, long durationNanos) {
        if (durationNanos >= slowNanos) {
            CallReport report =
                    new CallReport(owner, callback, durationNanos, Thread.currentThread(), true);
            tell(() -> observer.slowCallback(report));
        }
    }

    void overdue(CallReport call) {
        event(new MdevEvent.CallbackOverdue(call));
    }

    void scrubbed(ScrubReport report) {
        tell(() -> observer.scrubbed(report));
    }

    @Override
    public void reported(Mdev mdev, ReportLevel level, String text) {
        event(new MdevEvent.Reported(mdev.uuid(), level, text));
    }

    @Override
    public void resetByGuest(Mdev mdev) {
        tell(() -> observer.resetByGuest(mdev));
    }

    @Override
    public void assigned(Mdev mdev, String holder) {
        event(new MdevEvent.Assigned(mdev.uuid(), holder));
    }

    @Override
    public void unassigned(Mdev mdev, String holder) {
        event(new MdevEvent.Unassigned(mdev.uuid(), holder));
    }

    /// An observer that throws must not stop a removal half-way: its thread's handler gets the
    /// exception.
    static void tell(Runnable news) {
        try {
            news.run();
        } catch (RuntimeException | Error e) {
            Thread current = Thread.currentThread();
            current.getUncaughtExceptionHandler().uncaughtException(current, e);
        }
    }
}
