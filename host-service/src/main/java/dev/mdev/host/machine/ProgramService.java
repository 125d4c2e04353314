package dev.mdev.host.machine;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.ProgramResult;
import dev.mdev.core.vm.Vcpu;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;
import dev.mdev.host.problem.Violation;

import org.springframework.stereotype.Service;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/// Executes guest programs.
@Service
class ProgramService {
    private static final long DEFAULT_DEADLINE_MILLIS = 10_000;

    private final MachineService machines;
    private final MachineProperties properties;

    ProgramService(MachineService machines, MachineProperties properties) {
        this.machines = machines;
        this.properties = properties;
    }

    /// Executes a program and waits for its end, which its deadline bounds.
    ///
    /// @throws ProblemException if the program is invalid
    /// @throws MdevException EBUSY if the processor executes another program, EINVAL if there is no
    ///   such processor, ETIMEDOUT if it is stuck in a driver's callback
    ProgramView execute(String name, int vcpuId, ProgramRequest request) {
        VirtualMachine machine = machines.get(name);
        Vcpu vcpu = vcpu(machine, vcpuId);
        Duration deadline = deadlineOf(request);
        GuestProgram program = compiled(machine, request);
        Map<Mdev, Long> faultsBefore = new LinkedHashMap<>();
        for (AttachedDevice device : machine.devices()) {
            faultsBefore.put(device.mdev(), device.mdev().faultCount());
        }
        ProgramResult result = await(vcpu, vcpu.execute(program, deadline));
        return ProgramView.of(
                request,
                result,
                machine.spec().smm() != SmmDesign.NONE,
                faultsBefore.entrySet().stream()
                        .map(before -> deviceSince(before.getKey(), before.getValue()))
                        .toList());
    }

    private GuestProgram compiled(VirtualMachine machine, ProgramRequest request) {
        return new ProgramCompiler(machine, properties.maxProgramValues()).compile(request);
    }

    /// Refuses what [#execute] would refuse now.
    void check(String name, int vcpuId, ProgramRequest request) {
        VirtualMachine machine = machines.get(name);
        Vcpu vcpu = vcpu(machine, vcpuId);
        var _ = deadlineOf(request);
        var _ = compiled(machine, request);
        if (vcpu.isBusy()) {
            throw new ProblemException(
                    Problem.BUSY, "vcpu=%d executes a program".formatted(vcpuId));
        }
    }

    /// Refuses what [#interrupt] would refuse now.
    void check(String name, int vcpuId) {
        var _ = vcpu(machines.get(name), vcpuId);
    }

    private static ProgramView.Device deviceSince(Mdev mdev, long faultsBefore) {
        return new ProgramView.Device(
                mdev.uuid(), mdev.faultCount() - faultsBefore, mdev.residentPages());
    }

    /// Stops the running program of a processor; it ends as interrupted.
    void interrupt(String name, int vcpuId) {
        vcpu(machines.get(name), vcpuId).interrupt();
    }

    private static Vcpu vcpu(VirtualMachine machine, int id) {
        if (id < 0 || id >= machine.vcpus().size()) {
            throw ProblemException.notFound(
                    "machine=%s has no vcpu=%d".formatted(machine.spec().name(), id));
        }
        return machine.vcpu(id);
    }

    private Duration deadlineOf(ProgramRequest request) {
        long mostMillis = properties.maxProgramTime().toMillis();
        long millis =
                request.deadlineMillis() == null
                        ? Math.min(DEFAULT_DEADLINE_MILLIS, mostMillis)
                        : request.deadlineMillis();
        if (millis > mostMillis) {
            throw ProblemException.invalid(
                    List.of(new Violation("/deadlineMillis", "more than " + mostMillis)));
        }
        return Duration.ofMillis(millis);
    }

    private static ProgramResult await(Vcpu vcpu, CompletableFuture<ProgramResult> future) {
        try {
            return future.get();
        } catch (InterruptedException e) {
            vcpu.interrupt();
            Thread.currentThread().interrupt();
            throw new ProblemException(Problem.UNAVAILABLE, "the service is being stopped");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof MdevException known) {
                throw new MdevException(known.errno(), known.getMessage(), known);
            }
            throw new MdevException(Errno.EIO, "vcpu=%d failed".formatted(vcpu.id()), e);
        }
    }
}
