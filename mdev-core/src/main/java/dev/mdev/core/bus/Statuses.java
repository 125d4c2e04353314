package dev.mdev.core.bus;

import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;

import java.util.Optional;

/// Assembles the status of a device.
final class Statuses {
    private Statuses() {}

    static MdevStatus of(Registry.Entry entry, Optional<MdevDefinition> definition) {
        Mdev mdev = entry.mdev();
        return new MdevStatus(
                entry.uuid(),
                entry.parent().name(),
                entry.type().id(),
                entry.owner(),
                definition,
                entry.activity(),
                mdev == null ? Optional.empty() : mdev.holder(),
                entry.npages(),
                entry.trouble());
    }

    static MdevStatus of(MdevDefinition definition) {
        return new MdevStatus(
                definition.uuid(),
                definition.parent(),
                definition.type(),
                Owner.OURS,
                Optional.of(definition),
                Activity.INACTIVE,
                Optional.empty(),
                0,
                Optional.empty());
    }
}
