package dev.mdev.host.machine;

import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.MachineSpec;
import dev.mdev.core.vm.Vcpu;
import dev.mdev.core.vm.VirtualMachine;

import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A machine, as clients see it.
///
/// @param engine the engine that runs its guest
/// @param ecamGpa where its guest reaches the configuration spaces of bus 0 by memory accesses (the
///   ECAM of PCI Express)
record MachineView(
        String name,
        String engine,
        long ramBytes,
        U64 ecamGpa,
        List<Processor> vcpus,
        List<Device> devices)
        implements AnyMachine {

    /// A virtual processor.
    ///
    /// @param busy whether it executes a program
    record Processor(int id, boolean busy) {}

    /// A device in the machine.
    ///
    /// @param address its address as `lspci` prints it
    /// @param configGpa where the guest finds its configuration space
    record Device(UUID mdev, String address, U64 configGpa, List<Bar> bars) {}

    /// The place of a BAR in the guest.
    record Bar(int bar, String name, U64 gpa, long sizeBytes) {}

    static MachineView of(VirtualMachine machine) {
        return new MachineView(
                machine.spec().name(),
                machine.engineName(),
                machine.spec().ramBytes(),
                new U64(MachineSpec.ECAM_GPA),
                machine.vcpus().stream().map(MachineView::processor).toList(),
                machine.devices().stream().map(MachineView::device).toList());
    }

    private static Processor processor(Vcpu vcpu) {
        return new Processor(vcpu.id(), vcpu.isBusy());
    }

    static Device device(AttachedDevice device) {
        return new Device(
                device.mdev().uuid(),
                device.address(),
                new U64(device.configGpa()),
                device.barGpas().entrySet().stream()
                        .sorted(Map.Entry.comparingByKey())
                        .map(bar -> bar(device, bar.getKey(), bar.getValue()))
                        .toList());
    }

    private static Bar bar(AttachedDevice device, int index, long gpa) {
        var region = device.region(index);
        return new Bar(index, region.name(), new U64(gpa), region.sizeBytes());
    }
}
