package dev.mdev.host.machine;

import dev.mdev.core.machinestate.SaveReport;
import dev.mdev.core.vm.VirtualMachine;

/// Learns which machines exist. Any thread calls the methods, with no lock held.
public interface MachineWatcher {
    /// A machine was made.
    void made(VirtualMachine machine);

    /// A machine was saved.
    void saved(VirtualMachine machine, SaveReport report);

    /// A machine is gone, and its name is free.
    void gone(VirtualMachine machine);
}
