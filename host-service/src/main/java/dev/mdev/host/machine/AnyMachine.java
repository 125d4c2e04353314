package dev.mdev.host.machine;

import dev.mdev.host.web.Tagged;

/// A machine of either kind, as clients see it.
sealed interface AnyMachine extends Tagged permits MachineView, ExternalMachineView {
    String name();
}
