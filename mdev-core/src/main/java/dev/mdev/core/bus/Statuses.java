package dev.mdev.core.bus;

import dev.mdev.api.KernelNode;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/// Assembles the status of a device.
final class Statuses {
    private Statuses() {}

    /// The nodes of devices in the kernel: each parent is asked once for all of its devices.
    static final class Nodes {
        private final Map<Parent, Map<UUID, KernelNode>> byParent = new HashMap<>();

        Optional<KernelNode> of(Parent parent, UUID uuid) {
            return Optional.ofNullable(byParent.computeIfAbsent(parent, Nodes::ask).get(uuid));
        }

        /// A driver that fails to say it does so at the next verb, too, which reports it.
        private static Map<UUID, KernelNode> ask(Parent parent) {
            try {
                return parent.nodes();
            } catch (MdevException e) {
                return Map.of();
            }
        }
    }

    /// Existing devices of any owner, then those that are only defined.
    static List<MdevStatus> all(BusContext bus) {
        List<MdevStatus> all = new ArrayList<>();
        Set<UUID> seen = new HashSet<>();
        Nodes nodes = new Nodes();
        for (Registry.Entry entry : bus.registry().entries()) {
            seen.add(entry.uuid());
            all.add(of(bus, entry, nodes));
        }
        for (MdevDefinition definition : bus.definitions().all()) {
            if (seen.add(definition.uuid())) {
                all.add(of(definition));
            }
        }
        return all;
    }

    static Optional<MdevStatus> find(BusContext bus, UUID uuid) {
        Optional<MdevDefinition> definition = bus.definitions().find(uuid);
        return bus.registry()
                .find(uuid)
                .map(entry -> of(bus, entry, new Nodes()))
                .or(() -> definition.map(Statuses::of));
    }

    private static MdevStatus of(BusContext bus, Registry.Entry entry, Nodes nodes) {
        Mdev mdev = entry.mdev();
        Optional<KernelNode> node = nodes.of(entry.parent(), entry.uuid());
        Optional<String> holder = mdev == null ? Optional.empty() : mdev.holder();
        return new MdevStatus(
                entry.uuid(),
                entry.parent().name(),
                entry.type().id(),
                entry.owner(),
                bus.definitionOf(entry.uuid(), entry.parent()),
                entry.activity(),
                holder.or(() -> node.flatMap(KernelNode::user)),
                entry.npages(),
                entry.trouble(),
                node);
    }

    private static MdevStatus of(MdevDefinition definition) {
        return new MdevStatus(
                definition.uuid(),
                definition.parent(),
                definition.type(),
                Owner.OURS,
                Optional.of(definition),
                Activity.INACTIVE,
                Optional.empty(),
                0,
                Optional.empty(),
                Optional.empty());
    }
}
