package dev.mdev.host.machine;

/// A machine of either kind, as clients see it.
sealed interface AnyMachine permits MachineView, ExternalMachineView {}
