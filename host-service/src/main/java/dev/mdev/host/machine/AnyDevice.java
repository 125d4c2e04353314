package dev.mdev.host.machine;

/// A device in a machine of either kind, as clients see it.
sealed interface AnyDevice permits MachineView.Device, ExternalMachineView.Device {}
