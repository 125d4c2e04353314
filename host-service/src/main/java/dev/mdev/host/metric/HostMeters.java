package dev.mdev.host.metric;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Activity;
import dev.mdev.host.machine.MachineService;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;

import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.context.event.EventListener;
import org.springframework.stereotype.Component;

/// Measures the host as a whole.
@Component
class HostMeters {
    private final MeterRegistry registry;
    private final MdevBus bus;
    private final MachineService machines;

    HostMeters(MeterRegistry registry, MdevBus bus, MachineService machines) {
        this.registry = registry;
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
    }

    private static double lost(MdevBus bus) {
        return bus.statuses().stream().filter(it -> it.activity() == Activity.LOST).count();
    }

    private static double failing(MdevBus bus) {
        return bus.journalFailure().isPresent() ? 1 : 0;
    }
}
