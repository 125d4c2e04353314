package dev.mdev.host.machine;

import dev.mdev.core.vm.Vcpu;
import dev.mdev.core.vm.VirtualMachine;

import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;

/// Interrupts running guest programs when the service stops, before the web server waits for the
/// answers: each client gets its program's result so far, and the stop takes no program's deadline.
@Component
final class ProgramStop implements SmartLifecycle {
    private final MachineService machines;
    private volatile boolean running;

    ProgramStop(MachineService machines) {
        this.machines = machines;
    }

    @Override
    public void start() {
        running = true;
    }

    @Override
    public void stop() {
        running = false;
        for (VirtualMachine machine : machines.list()) {
            machine.vcpus().forEach(Vcpu::interrupt);
        }
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    /// The last to start and the first to stop: before the web server.
    @Override
    public int getPhase() {
        return Integer.MAX_VALUE;
    }
}
