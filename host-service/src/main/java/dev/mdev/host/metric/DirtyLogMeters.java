package dev.mdev.host.metric;

import dev.mdev.api.MdevException;
import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.vm.MachineDirtyLog;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.machine.MachineWatcher;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;

import org.springframework.stereotype.Component;

import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.ToDoubleFunction;

/// Measures the dirty log of each machine, and the stops for their saves.
@Component
class DirtyLogMeters implements MachineWatcher {
    private final MeterRegistry registry;
    private final Map<VirtualMachine, List<Meter>> meters = new ConcurrentHashMap<>();
    private final Timer stops;

    DirtyLogMeters(MeterRegistry registry) {
        this.registry = registry;
        stops =
                Timer.builder("mdevhost.machine.save.stop")
                        .description("How long machines stood still to be saved")
                        .register(registry);
    }

    @Override
    public void made(VirtualMachine machine) {
        String name = machine.spec().name();
        MachineDirtyLog log = machine.dirtyLog();
        meters.put(
                machine,
                List.of(
                        Gauge.builder("mdevhost.dirty.pages", log, DirtyLogMeters::dirty)
                                .description("Dirty pages of a machine now, each once")
                                .tag("machine", name)
                                .register(registry),
                        counter(
                                "mdevhost.dirty.taken.pages",
                                "Dirty pages that were cleared or saved",
                                machine,
                                MachineDirtyLog::taken),
                        counter(
                                "mdevhost.dirty.ring.entries",
                                "Entries taken from dirty rings",
                                machine,
                                MachineDirtyLog::harvested),
                        counter(
                                "mdevhost.dirty.ring.full",
                                "Stops of a virtual processor because its dirty ring was full",
                                machine,
                                MachineDirtyLog::full)));
    }

    @Override
    public void saved(VirtualMachine machine, SaveReport report) {
        stops.record(report.stopNanos(), TimeUnit.NANOSECONDS);
    }

    private static double dirty(MachineDirtyLog log) {
        try {
            return log.dirtyPages();
        } catch (MdevException ending) {
            // The machine is being closed: it has no log any more.
            return Double.NaN;
        }
    }

    private FunctionCounter counter(
            String name,
            String description,
            VirtualMachine machine,
            ToDoubleFunction<MachineDirtyLog> value) {
        return FunctionCounter.builder(name, machine.dirtyLog(), value)
                .description(description)
                .tag("machine", machine.spec().name())
                .register(registry);
    }

    @Override
    public void gone(VirtualMachine machine) {
        List<Meter> its = meters.remove(machine);
        if (its != null) {
            its.forEach(registry::remove);
        }
    }
}
