package dev.mdev.host.bus;

import dev.mdev.core.device.CallReport;
import dev.mdev.core.device.FaultRecord;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevEvent;
import dev.mdev.core.device.MdevObserver;
import dev.mdev.core.device.ScrubReport;

import java.util.List;

/// Tells several observers.
record Observers(List<MdevObserver> all) implements MdevObserver {
    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        for (MdevObserver observer : all) {
            observer.faulted(mdev, fault);
        }
    }

    @Override
    public void called(Mdev mdev, String callback, long durationNanos) {
        for (MdevObserver observer : all) {
            observer.called(mdev, callback, durationNanos);
        }
    }

    @Override
    public void event(MdevEvent event) {
        for (MdevObserver observer : all) {
            observer.event(event);
        }
    }

    @Override
    public void scrubbed(ScrubReport report) {
        for (MdevObserver observer : all) {
            observer.scrubbed(report);
        }
    }

    @Override
    public void slowCallback(CallReport report) {
        for (MdevObserver observer : all) {
            observer.slowCallback(report);
        }
    }

    @Override
    public void created(Mdev mdev) {
        for (MdevObserver observer : all) {
            observer.created(mdev);
        }
    }

    @Override
    public void removed(Mdev mdev) {
        for (MdevObserver observer : all) {
            observer.removed(mdev);
        }
    }
}
