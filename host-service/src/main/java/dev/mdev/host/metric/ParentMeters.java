package dev.mdev.host.metric;

import dev.mdev.api.MdevType;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.capacity.PoolUsage;
import dev.mdev.core.device.Parent;
import dev.mdev.core.device.ScrubReport;
import dev.mdev.core.elastic.ElasticCounters;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.elastic.ElasticUsage;
import dev.mdev.core.elastic.StoreSpace;
import dev.mdev.host.parent.Availability;

import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;

import java.util.function.ToDoubleFunction;
import java.util.function.ToLongFunction;

/// The meters of parents: they come and go with them.
@Component
class ParentMeters implements MdevObserver {
    private final MeterRegistry registry;

    /// It exists after its observers.
    private final ObjectProvider<MdevBus> buses;

    ParentMeters(MeterRegistry registry, ObjectProvider<MdevBus> buses) {
        this.registry = registry;
        this.buses = buses;
    }

    @Override
    public void event(MdevEvent event) {
        if (event.fact() instanceof MdevEvent.ParentArrived arrived) {
            MdevBus bus = buses.getObject();
            // It may have left again.
            bus.parents().stream()
                    .filter(parent -> parent.name().equals(arrived.parent()))
                    .forEach(parent -> add(bus, parent));
        } else if (event.fact() instanceof MdevEvent.ParentLeft left) {
            registry.getMeters().stream()
                    .filter(meter -> left.parent().equals(meter.getId().getTag("parent")))
                    .forEach(registry::remove);
        }
    }

    @Override
    public void scrubbed(ScrubReport report) {
        scrubbedBytes(report.parent()).increment((double) report.bytes());
        failedPages(report.parent()).increment((double) report.failedPages());
    }

    private Counter scrubbedBytes(String parent) {
        return Counter.builder("mdevhost.scrubbed")
                .description("Bytes set to zero and read back")
                .baseUnit("bytes")
                .tag("parent", parent)
                .register(registry);
    }

    private Counter failedPages(String parent) {
        return Counter.builder("mdevhost.scrub.failed.pages")
                .description("Failed attempts to scrub a page")
                .tag("parent", parent)
                .register(registry);
    }

    private void add(MdevBus bus, Parent parent) {
        Gauge.builder("mdevhost.mdevs", bus, it -> mdevsOf(it, parent))
                .description("Mediated devices")
                .tag("parent", parent.name())
                .register(registry);
        parent.types().forEach(type -> addType(bus, parent, type));
        parent.usage().forEach(usage -> addPool(parent, usage.pool()));
        // Its pools share one.
        parent.elastic().values().stream()
                .findFirst()
                .ifPresent(pool -> addStore(parent, pool.store()));
        // At 0: an alert sees the first of them.
        var _ = scrubbedBytes(parent.name());
        var _ = failedPages(parent.name());
    }

    private static double mdevsOf(MdevBus bus, Parent parent) {
        return bus.mdevs().stream().filter(mdev -> mdev.parent() == parent).count();
    }

    private void addType(MdevBus bus, Parent parent, MdevType type) {
        Gauge.builder("mdevhost.type.available", bus, it -> Availability.of(it, parent, type))
                .description("How many more devices of the type could be created now")
                .tag("parent", parent.name())
                .tag("type", type.id())
                .register(registry);
    }

    private void addPool(Parent parent, String pool) {
        addPool(parent, pool, "total", it -> usageOf(it, pool, PoolUsage::totalPages));
        addPool(parent, pool, "free", it -> usageOf(it, pool, PoolUsage::freePages));
        addPool(
                parent,
                pool,
                "largest_free_extent",
                it -> usageOf(it, pool, PoolUsage::largestFreePages));
        addPool(parent, pool, "reclaimable", it -> usageOf(it, pool, PoolUsage::reclaimablePages));
        addPool(parent, pool, "quarantined", it -> quarantined(it, pool));
        ElasticPool elastic = parent.elastic().get(pool);
        if (elastic != null) {
            addElastic(parent, elastic, pool, "guaranteed", ElasticUsage::minPages);
            addElastic(parent, elastic, pool, "maximum", ElasticUsage::maxPages);
            addElastic(parent, elastic, pool, "used", ElasticUsage::usedPages);
            addElastic(parent, elastic, pool, "stored", ElasticUsage::storedPages);
            addMoved(parent, pool, "evicted", elastic.counters(), ElasticCounters::evictedPages);
            addMoved(parent, pool, "returned", elastic.counters(), ElasticCounters::returnedPages);
            addMoved(
                    parent,
                    pool,
                    "returned_soon",
                    elastic.counters(),
                    ElasticCounters::returnedSoonPages);
            addMoved(parent, pool, "refused", elastic.counters(), ElasticCounters::refusedPages);
            FunctionCounter.builder(
                            "mdevhost.parent.store.failures",
                            elastic.counters(),
                            ElasticCounters::storeFailures)
                    .description("How often the backing store took or returned no content")
                    .tag("parent", parent.name())
                    .tag("pool", pool)
                    .register(registry);
        }
    }

    private void addStore(Parent parent, StoreSpace store) {
        addStore(parent, store, "reserved", StoreSpace::reservedBytes);
        addStore(parent, store, "limit", StoreSpace::maxBytes);
    }

    private void addStore(
            Parent parent, StoreSpace store, String state, ToDoubleFunction<StoreSpace> value) {
        Gauge.builder("mdevhost.parent.store.bytes", store, value)
                .description("Room in the backing store of elastic shares")
                .tag("parent", parent.name())
                .tag("state", state)
                .register(registry);
    }

    private void addElastic(
            Parent parent,
            ElasticPool elastic,
            String pool,
            String state,
            ToLongFunction<ElasticUsage> value) {
        addPool(parent, pool, state, _ -> elastic.usage().stream().mapToLong(value).sum());
    }

    private void addMoved(
            Parent parent,
            String pool,
            String what,
            ElasticCounters counters,
            ToDoubleFunction<ElasticCounters> value) {
        FunctionCounter.builder("mdevhost.parent.pool.moves", counters, value)
                .description("Pages of elastic shares that were taken away or came back")
                .tag("parent", parent.name())
                .tag("pool", pool)
                .tag("what", what)
                .register(registry);
    }

    private void addPool(Parent parent, String pool, String state, ToDoubleFunction<Parent> value) {
        Gauge.builder("mdevhost.parent.pool.pages", parent, value)
                .description("Pages of a parent's pool")
                .tag("parent", parent.name())
                .tag("pool", pool)
                .tag("state", state)
                .register(registry);
    }

    private static double usageOf(Parent parent, String pool, ToLongFunction<PoolUsage> value) {
        return parent.usage().stream()
                .filter(usage -> usage.pool().equals(pool))
                .mapToLong(value)
                .sum();
    }

    private static double quarantined(Parent parent, String pool) {
        return parent.extents(pool).stream()
                .filter(extent -> extent.use() == PoolExtent.Use.QUARANTINED)
                .mapToLong(PoolExtent::npages)
                .sum();
    }
}
