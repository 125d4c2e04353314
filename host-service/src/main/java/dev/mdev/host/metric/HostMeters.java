package dev.mdev.host.metric;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Activity;
import dev.mdev.host.bus.RequiredParents;
import dev.mdev.host.event.Event;
import dev.mdev.host.event.Troubles;
import dev.mdev.host.machine.MachineService;
import dev.mdev.host.operation.Operations;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;

import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;

import java.util.Locale;

/// Measures the host as a whole.
@Component
class HostMeters {
    private final MeterRegistry registry;
    private final MdevBus bus;
    private final MachineService machines;
    private final Troubles troubles;
    private final RequiredParents required;
    private final Operations operations;

    HostMeters(
            MeterRegistry registry,
            MdevBus bus,
            MachineService machines,
            Troubles troubles,
            RequiredParents required,
            Operations operations) {
        this.operations = operations;
        this.registry = registry;
        this.troubles = troubles;
        this.required = required;
        this.bus = bus;
        this.machines = machines;
    }

    @EventListener(ApplicationReadyEvent.class)
    void start() {
        Gauge.builder("mdevhost.machines", machines, MachineService::count)
                .description("Virtual machines")
                .register(registry);
        Gauge.builder("mdevhost.mdevs.lost", bus, HostMeters::lost)
                .description("Devices that cannot end, whose pages are held")
                .register(registry);
        Gauge.builder("mdevhost.driver.overdue.calls", bus, it -> it.overdueCalls().size())
                .description("Driver callbacks that exceed their deadline")
                .register(registry);
        Gauge.builder("mdevhost.journal.failing", bus, HostMeters::failing)
                .description("1 while the journal cannot be written, so that nothing can change")
                .register(registry);
        Gauge.builder("mdevhost.definitions.quarantined", bus, it -> it.quarantined().size())
                .description("Damaged definition files")
                .register(registry);
        Gauge.builder("mdevhost.parents.missing", required, it -> it.missing().size())
                .description("Required parents that are not present")
                .register(registry);
        Gauge.builder("mdevhost.operations.running", operations, Operations::runningCount)
                .description("Operations that run")
                .register(registry);
        operations.endedCounts().keySet().forEach(this::addEnded);
        Troubles.KINDS.forEach(this::addTroubles);
    }

    private void addEnded(String state) {
        FunctionCounter.builder(
                        "mdevhost.operations.ended",
                        operations,
                        it -> it.endedCounts().getOrDefault(state, 0L))
                .description("Operations that ended")
                .tag("state", state)
                .register(registry);
    }

    private void addTroubles(Event.Kind kind) {
        Gauge.builder("mdevhost.troubles", troubles, it -> it.count(kind))
                .description("Devices with a trouble that lasts")
                .tag("kind", kind.name().toLowerCase(Locale.ROOT))
                .register(registry);
    }

    private static double lost(MdevBus bus) {
        return bus.statuses().stream().filter(it -> it.activity() == Activity.LOST).count();
    }

    private static double failing(MdevBus bus) {
        return bus.journalFailure().isPresent() ? 1 : 0;
    }
}
