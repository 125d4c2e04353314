package dev.mdev.host.bus;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import java.util.List;
import java.util.function.Consumer;

/// Notifies several observers. A failing observer does not affect the others.
record Observers(List<MdevObserver> all) implements MdevObserver {
    private static final Logger log = LoggerFactory.getLogger(Observers.class);

    private void tell(Consumer<MdevObserver> news) {
        for (MdevObserver observer : all) {
            try {
                news.accept(observer);
            } catch (RuntimeException | Error e) {
                log.error("{} threw", observer.getClass().getName(), e);
            }
        }
    }

    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        tell(it -> it.faulted(mdev, fault));
    }

    @Override
    public void called(Mdev mdev, String callback, long durationNanos) {
        tell(it -> it.called(mdev, callback, durationNanos));
    }

    @Override
    public void resetByGuest(Mdev mdev) {
        tell(it -> it.resetByGuest(mdev));
    }

    @Override
    public void event(MdevEvent event) {
        tell(it -> it.event(event));
    }

    @Override
    public void scrubbed(ScrubReport report) {
        tell(it -> it.scrubbed(report));
    }

    @Override
    public void slowCallback(CallReport report) {
        tell(it -> it.slowCallback(report));
    }
}
