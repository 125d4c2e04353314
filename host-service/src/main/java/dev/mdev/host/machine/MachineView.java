package dev.mdev.host.machine;

import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.Vcpu;
import dev.mdev.core.vm.VirtualMachine;

import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A machine, as clients see it.
///
/// @param engine the engine that runs its guest
record MachineView(
        String name, String engine, long ramBytes, List<Processor> vcpus, List<Device> devices) {

    /// A virtual processor.
    ///
    /// @param busy whether it executes a program
    record Processor(int id, boolean busy) {}

    /// A device in the machine.
    record Device(UUID mdev, List<Bar> bars) {}

    /// The place of a BAR in the guest.
    record Bar(int bar, String name, U64 gpa, long sizeBytes) {}

    static MachineView of(VirtualMachine machine) {
        return new MachineView(
                machine.spec().name(),
                machine.engineName(),
                machine.spec().ramBytes(),
                machine.vcpus().stream().map(MachineView::processor).toList(),
                machine.devices().stream().map(MachineView::device).toList());
    }

    private static Processor processor(Vcpu vcpu) {
        return new Processor(vcpu.id(), vcpu.isBusy());
    }

    static Device device(AttachedDevice device) {
        return new Device(
                device.mdev().uuid(),
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
