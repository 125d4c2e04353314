package dev.mdev.host.metric;

import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.vm.Vcpu;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.machine.MachineWatcher;

import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;

import org.springframework.stereotype.Component;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;

/// Measures what each machine of this service takes of the host.
@Component
class MachineMeters implements MachineWatcher {
    private final MeterRegistry registry;
    private final ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    private final Map<VirtualMachine, List<Meter>> meters = new ConcurrentHashMap<>();

    MachineMeters(MeterRegistry registry) {
        this.registry = registry;
    }

    @Override
    public void made(VirtualMachine machine) {
        String name = machine.spec().name();
        meters.put(
                machine,
                List.of(
                        FunctionCounter.builder("mdevhost.machine.cpu", machine, this::cpuSeconds)
                                .baseUnit("seconds")
                                .description("Processor time of a machine's virtual processors")
                                .tag("machine", name)
                                .register(registry),
                        Gauge.builder("mdevhost.machine.ram", machine, it -> it.spec().ramBytes())
                                .baseUnit("bytes")
                                .description("RAM of a machine")
                                .tag("machine", name)
                                .register(registry)));
    }

    /// A thread that has ended has no time any more.
    private double cpuSeconds(VirtualMachine machine) {
        long nanos =
                machine.vcpus().stream()
                        .mapToLong(Vcpu::threadId)
                        .map(threads::getThreadCpuTime)
                        .filter(time -> time > 0)
                        .sum();
        return (double) nanos / TimeUnit.SECONDS.toNanos(1);
    }

    @Override
    public void saved(VirtualMachine machine, SaveReport report) {}

    @Override
    public void gone(VirtualMachine machine) {
        List<Meter> its = meters.remove(machine);
        if (its != null) {
            its.forEach(registry::remove);
        }
    }
}
