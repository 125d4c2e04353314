package dev.mdev.host.metric;

import dev.mdev.api.MapRequest;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.mapping.FaultRecord;

import org.springframework.stereotype.Component;

import java.util.Locale;

/// Tells the JDK's Flight Recorder of faults, while somebody records them. Otherwise, a fault costs
/// one test of a flag.
@Component
class FlightRecorder implements MdevObserver {
    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        if (!FaultEvent.TYPE.isEnabled()) {
            return;
        }
        MapRequest request = fault.request();
        FaultEvent event = new FaultEvent();
        event.uuid = mdev.uuid().toString();
        event.parent = mdev.parent().name();
        event.region = request.region();
        event.page = request.page();
        event.access = word(request.access());
        event.reason = word(request.reason());
        event.outcome = word(fault.outcome());
        event.answer = fault.answer();
        event.driverTime = fault.driverNanos();
        event.commit();
    }

    private static String word(Enum<?> constant) {
        return constant.name().toLowerCase(Locale.ROOT);
    }
}
