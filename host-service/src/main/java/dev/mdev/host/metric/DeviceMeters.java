package dev.mdev.host.metric;

import dev.mdev.api.MapRequest;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.mapping.FaultRecord;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tags;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// The meters of one device: created and removed with it. A fault of a guest looks up nothing by a
/// string.
final class DeviceMeters {
    private final MeterRegistry registry;
    private final List<Meter> meters = new ArrayList<>();

    /// By region, then by kind.
    private final Map<Integer, Map<Kind, Counter>> faults = new HashMap<>();

    /// The labels of the faults of one region.
    private record Kind(FaultRecord.Outcome outcome, boolean prefetched) {}

    DeviceMeters(MeterRegistry registry, Mdev mdev) {
        this.registry = registry;
        Tags tags = Tags.of("uuid", mdev.uuid().toString());
        Tags info = tags.and("type", mdev.type().id(), "parent", mdev.parent().name());
        meters.add(
                Gauge.builder("mdevhost.mdev.info", () -> 1)
                        .description("A mediated device and what it is; always 1")
                        .tags(info)
                        .register(registry));
        meters.add(
                Gauge.builder("mdevhost.driver.overdue", mdev, DeviceMeters::overdue)
                        .description(
                                "1 while a callback of the device's driver exceeds its deadline")
                        .tags(tags)
                        .register(registry));
        mdev.regions().forEach(region -> addRegion(mdev, region, tags));
    }

    private static double overdue(Mdev mdev) {
        return mdev.overdueCallback().isPresent() ? 1 : 0;
    }

    private void addRegion(Mdev mdev, RegionInfo region, Tags tags) {
        if (region.areas().isEmpty()) {
            return;
        }
        Tags regionTags = tags.and("region", Integer.toString(region.index()));
        int index = region.index();
        meters.add(
                Gauge.builder("mdevhost.mdev.resident.pages", mdev, it -> it.residentPages(index))
                        .description("Pages of the region that are mapped for a guest now")
                        .tags(regionTags)
                        .register(registry));
        Map<Kind, Counter> counters = new HashMap<>();
        for (FaultRecord.Outcome outcome : FaultRecord.Outcome.values()) {
            counters.put(new Kind(outcome, false), counter(regionTags, outcome, false));
            counters.put(new Kind(outcome, true), counter(regionTags, outcome, true));
        }
        faults.put(index, counters);
    }

    private Counter counter(Tags tags, FaultRecord.Outcome outcome, boolean prefetched) {
        Counter counter =
                Counter.builder("mdevhost.faults")
                        .description("Faults in lazily mapped regions, by outcome")
                        .tags(tags)
                        .tag("outcome", outcome.name().toLowerCase(Locale.ROOT))
                        .tag("prefetched", Boolean.toString(prefetched))
                        .register(registry);
        meters.add(counter);
        return counter;
    }

    void faulted(FaultRecord fault) {
        Map<Kind, Counter> counters = faults.get(fault.request().region());
        if (counters == null) {
            return;
        }
        Counter counter =
                counters.get(
                        new Kind(
                                fault.outcome(),
                                fault.request().reason() == MapRequest.Reason.PREFETCH));
        if (counter != null) {
            counter.increment();
        }
    }

    void remove() {
        meters.forEach(registry::remove);
    }
}
