package dev.mdev.host.bus;

import dev.mdev.core.device.FaultRecord;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevObserver;

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
