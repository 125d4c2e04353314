package dev.mdev.host.machine;

import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.Vcpu;
import dev.mdev.core.vm.VirtualMachine;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.web.Tagged;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.UUID;

/// A machine, as clients see it.
///
/// @param engine the engine that runs its guest
/// @param smm the design of its system management mode, if it has one
/// @param displayName a name for people
/// @param labels words to select by
/// @param ecamGpa where its guest reaches the configuration spaces of bus 0 by memory accesses (the
///   ECAM of PCI Express)
record MachineView(
        String name,
        String engine,
        long ramBytes,
        @Nullable String smm,
        U64 ecamGpa,
        List<Processor> vcpus,
        List<Device> devices,
        @Nullable String displayName,
        @Nullable String description,
        SortedMap<String, String> labels)
        implements AnyMachine {

    /// A virtual processor.
    ///
    /// @param busy whether it executes a program
    /// @param inSmm whether it is in system management mode, if the machine has it
    record Processor(int id, boolean busy, @Nullable Boolean inSmm) {}

    /// A device in the machine.
    ///
    /// @param address its address as `lspci` prints it
    /// @param configGpa where the guest finds its configuration space
    record Device(UUID mdev, String address, U64 configGpa, List<Bar> bars) implements AnyDevice {}

    /// The place of a BAR in the guest.
    record Bar(int bar, String name, U64 gpa, long sizeBytes) {}

    static MachineView of(VirtualMachine machine, Metadata metadata) {
        return new MachineView(
                machine.spec().name(),
                machine.engineName(),
                machine.spec().ramBytes(),
                hasSmm(machine) ? machine.spec().smm().toString() : null,
                new U64(machine.addresses().ecamGpa()),
                machine.vcpus().stream().map(vcpu -> processor(machine, vcpu)).toList(),
                machine.devices().stream().map(MachineView::device).toList(),
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
    }

    @Override
    public String etag() {
        return Tagged.of(
                name,
                devices.stream().map(Device::mdev).toList(),
                new Metadata(displayName, description, labels));
    }

    private static boolean hasSmm(VirtualMachine machine) {
        return machine.spec().smm() != SmmDesign.NONE;
    }

    private static Processor processor(VirtualMachine machine, Vcpu vcpu) {
        return new Processor(
                vcpu.id(), vcpu.isBusy(), hasSmm(machine) ? (Boolean) vcpu.isInSmm() : null);
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
