package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Subject;
import dev.mdev.core.ledger.Verb;

import java.util.Optional;
import java.util.UUID;

/// Writes and deletes definitions, without touching devices.
final class DefinitionVerbs {
    private final BusContext bus;

    DefinitionVerbs(BusContext bus) {
        this.bus = bus;
    }

    void define(MdevDefinition definition) {
        UUID uuid = definition.uuid();
        try (VerbLocks.Claim _ = bus.claims().claim(uuid, "defined", Errno.EAGAIN)) {
            requireUndefined(uuid);
            requireFitting(definition);
            write(definition);
        }
    }

    /// @see MdevBus#checkDefine
    void check(MdevDefinition definition) {
        if (bus.definitions().find(definition.uuid()).isPresent()) {
            requireChangeable(definition);
        } else {
            requireFitting(definition);
            bus.definitions().requireRoom(definition.uuid());
        }
    }

    /// An existing device, and a present parent, must agree with it.
    private void requireFitting(MdevDefinition definition) {
        bus.registry().find(definition.uuid()).ifPresent(active -> requireSame(active, definition));
        Optional<Parent> parent = bus.registry().parent(definition.parent());
        if (parent.isPresent()) {
            var _ = parent.get().type(definition.type());
            BusContext.requireAttributes(parent.get(), definition.attributes());
        }
    }

    private void requireUndefined(UUID uuid) {
        if (bus.definitions().find(uuid).isPresent()) {
            throw new MdevException(Errno.EEXIST, "mdev=%s is defined".formatted(uuid));
        }
    }

    /// A definition of an existing device must match it.
    private static void requireSame(Registry.Entry entry, MdevDefinition definition) {
        if (!entry.parent().name().equals(definition.parent())
                || !entry.type().id().equals(definition.type())) {
            throw new MdevException(
                    Errno.EEXIST,
                    "mdev=%s exists, and is different: type=%s parent=%s owner=%s"
                            .formatted(
                                    entry.uuid(),
                                    entry.type().id(),
                                    entry.parent().name(),
                                    entry.owner()));
        }
        if (entry.owner() == Owner.FOREIGN) {
            throw new MdevException(
                    Errno.EEXIST, "mdev=%s is foreign: adopt it first".formatted(entry.uuid()));
        }
    }

    private void write(MdevDefinition definition) {
        long op = bus.ledger().begin(Verb.DEFINE, Subject.of(definition));
        boolean done = false;
        try {
            bus.definitions().put(definition);
            done = true;
        } finally {
            bus.ledger().end(op, done);
        }
        bus.observer().event(new MdevEvent.Defined(definition));
    }

    void undefine(UUID uuid) {
        try (VerbLocks.Claim _ = bus.claims().claim(uuid, "undefined", Errno.EAGAIN)) {
            undefineClaimed(uuid);
        }
    }

    void undefineClaimed(UUID uuid) {
        long op = bus.ledger().begin(Verb.UNDEFINE, Subject.of(required(uuid)));
        boolean done = false;
        try {
            bus.undefine(uuid);
            done = true;
        } finally {
            bus.ledger().end(op, done);
        }
        bus.observer().event(new MdevEvent.Undefined(uuid));
    }

    private MdevDefinition required(UUID uuid) {
        return bus.definitions()
                .find(uuid)
                .orElseThrow(() ->
                        new MdevException(Errno.ENOENT, "mdev=%s is not defined".formatted(uuid)));
    }

    MdevDefinition promote(UUID uuid, boolean autostart) {
        try (VerbLocks.Claim _ = bus.claims().claim(uuid, "promoted", Errno.EAGAIN)) {
            Registry.Entry entry =
                    bus.registry()
                            .find(uuid)
                            .orElseThrow(() ->
                                    new MdevException(
                                            Errno.ENODEV, "mdev=%s is not active".formatted(uuid)));
            if (entry.owner() == Owner.FOREIGN) {
                throw new MdevException(
                        Errno.EPERM, "mdev=%s is foreign: adopt it first".formatted(uuid));
            }
            if (entry.activity() != Activity.ACTIVE) {
                throw new MdevException(
                        Errno.ENODEV, "mdev=%s is %s".formatted(uuid, entry.activity()));
            }
            requireUndefined(uuid);
            MdevDefinition definition =
                    new MdevDefinition(uuid, entry.parent().name(), entry.type().id(), autostart);
            write(definition);
            return definition;
        }
    }

    void redefine(MdevDefinition definition) {
        UUID uuid = definition.uuid();
        try (VerbLocks.Claim _ = bus.claims().claim(uuid, "changed", Errno.EAGAIN)) {
            requireChangeable(definition);
            write(definition);
        }
    }

    private void requireChangeable(MdevDefinition definition) {
        MdevDefinition there = required(definition.uuid());
        if (!there.parent().equals(definition.parent())
                || !there.type().equals(definition.type())) {
            throw new MdevException(Errno.EEXIST, "defined, and different: " + there);
        }
        bus.registry()
                .parent(definition.parent())
                .ifPresent(parent -> BusContext.requireAttributes(parent, definition.attributes()));
    }
}
