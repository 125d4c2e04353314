package dev.mdev.host.metric;

import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.mapping.FaultRecord;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;

import org.springframework.stereotype.Component;

import java.time.Duration;
import java.util.EnumMap;
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

    private final MeterRegistry registry;
    private final Map<UUID, DeviceMeters> devices = new ConcurrentHashMap<>();
    private final Map<FaultRecord.Outcome, Timer> latency =
            new EnumMap<>(FaultRecord.Outcome.class);
    private final Map<Callback, Timer> callbacks = new ConcurrentHashMap<>();

    private record Callback(String driver, String name) {}

    BusMeters(MeterRegistry registry) {
        this.registry = registry;
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
        } else if (event.fact() instanceof MdevEvent.ParentLeft left) {
            forget(left.parent());
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

    /// A parent that left has nothing any more that could be measured.
    private void forget(String parent) {
        registry.getMeters().stream()
                .filter(meter -> parent.equals(meter.getId().getTag("parent")))
                .forEach(registry::remove);
    }

    @Override
    public void slowCallback(CallReport report) {
        count(report);
    }

    private void count(CallReport report) {
        Counter.builder("mdevhost.driver.slow.callbacks")
                .description(
                        "Slow driver callbacks (finished), or callbacks that were seen running"
                                + " for longer than they may")
                .tag("callback", report.callback())
                .tag("finished", Boolean.toString(report.finished()))
                .register(registry)
                .increment();
    }

    @Override
    public void scrubbed(ScrubReport report) {
        Counter.builder("mdevhost.scrubbed")
                .description("Bytes set to zero and read back")
                .baseUnit("bytes")
                .tag("parent", report.parent())
                .register(registry)
                .increment((double) report.bytes());
        Counter.builder("mdevhost.scrub.failed.pages")
                .description("Failed attempts to scrub a page")
                .tag("parent", report.parent())
                .register(registry)
                .increment((double) report.failedPages());
    }

    private Timer timerOf(Callback callback) {
        return Timer.builder("mdevhost.driver.callback.duration")
                .description("Duration of driver callbacks")
                .tag("driver", callback.driver())
                .tag("callback", callback.name())
                .serviceLevelObjectives(BUCKETS)
                .register(registry);
    }
}
