package dev.mdev.host.metric;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;

import org.springframework.stereotype.Component;

import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/// Counts the events of the device bus.
@Component
class BusMeters implements MdevObserver {
    private static final Duration[] BUCKETS = {
        micros(1),
        micros(2),
        micros(5),
        micros(10),
        micros(20),
        micros(50),
        micros(100),
        micros(200),
        micros(500),
        micros(1_000),
        micros(10_000),
        micros(100_000),
        micros(1_000_000)
    };

    /// Those of a device are known when it is called.
    private static final List<String> CALLBACKS_OF_PARENTS =
            List.of("probe", "create", "adopt", "existing", "clear", "close");

    private final MeterRegistry registry;
    private final Map<UUID, DeviceMeters> devices = new ConcurrentHashMap<>();
    private final Map<FaultRecord.Outcome, Timer> latency =
            new EnumMap<>(FaultRecord.Outcome.class);
    private final Map<Callback, Timer> callbacks = new ConcurrentHashMap<>();

    private record Callback(String driver, String name) {}

    BusMeters(MeterRegistry registry) {
        this.registry = registry;
        CALLBACKS_OF_PARENTS.forEach(this::addSlowCallbacks);
        for (FaultRecord.Outcome outcome : FaultRecord.Outcome.values()) {
            latency.put(
                    outcome,
                    Timer.builder("mdevhost.fault.duration")
                            .description(
                                    "From the request to the driver to its checked answer, by"
                                            + " outcome")
                            .tag("outcome", outcome.name().toLowerCase(Locale.ROOT))
                            .serviceLevelObjectives(BUCKETS)
                            .register(registry));
        }
    }

    private static Duration micros(long micros) {
        return Duration.of(micros, TimeUnit.MICROSECONDS.toChronoUnit());
    }

    @Override
    public void faulted(Mdev mdev, FaultRecord fault) {
        Timer timer = latency.get(fault.outcome());
        if (timer != null) {
            timer.record(fault.driverNanos(), TimeUnit.NANOSECONDS);
        }
        DeviceMeters meters = devices.get(mdev.uuid());
        if (meters != null) {
            meters.faulted(fault);
        }
    }

    @Override
    public void called(Mdev mdev, String callback, long durationNanos) {
        callbacks
                .computeIfAbsent(new Callback(mdev.parent().driverName(), callback), this::timerOf)
                .record(durationNanos, TimeUnit.NANOSECONDS);
    }

    @Override
    public void event(MdevEvent event) {
        if (event.fact() instanceof MdevEvent.Started(Mdev mdev, _)) {
            devices.put(mdev.uuid(), new DeviceMeters(registry, mdev));
        } else if (event.fact() instanceof MdevEvent.Stopped(Mdev mdev, _)) {
            forget(mdev);
        } else if (event.fact() instanceof MdevEvent.CallbackOverdue overdue) {
            count(overdue.call());
        }
    }

    private void forget(Mdev mdev) {
        DeviceMeters meters = devices.remove(mdev.uuid());
        if (meters != null) {
            meters.remove();
        }
    }

    @Override
    public void slowCallback(CallReport report) {
        count(report);
    }

    private void count(CallReport report) {
        slowCallbacks(report.callback(), report.finished()).increment();
    }

    private Counter slowCallbacks(String callback, boolean finished) {
        return Counter.builder("mdevhost.driver.slow.callbacks")
                .description(
                        "Slow driver callbacks (finished), or callbacks that were seen running"
                                + " for longer than they may")
                .tag("callback", callback)
                .tag("finished", Boolean.toString(finished))
                .register(registry);
    }

    /// At 0: an alert sees the first slow one.
    private void addSlowCallbacks(String callback) {
        var _ = slowCallbacks(callback, true);
        var _ = slowCallbacks(callback, false);
    }

    private Timer timerOf(Callback callback) {
        addSlowCallbacks(callback.name());
        return Timer.builder("mdevhost.driver.callback.duration")
                .description("Duration of driver callbacks")
                .tag("driver", callback.driver())
                .tag("callback", callback.name())
                .serviceLevelObjectives(BUCKETS)
                .register(registry);
    }
}
