package dev.mdev.host.access;

import dev.mdev.api.MdevType;

import java.util.Map;
import java.util.TreeMap;

/// What a thing takes of its tenant's quota.
///
/// @param pages by pool
public record Cost(int devices, int machines, long ramBytes, Map<String, Long> pages) {
    static final Cost NOTHING = new Cost(0, 0, 0, Map.of());

    public Cost {
        pages = Map.copyOf(pages);
    }

    /// A device of a type.
    public static Cost ofDevice(MdevType type) {
        Map<String, Long> pages = new TreeMap<>();
        type.demands().forEach(it -> pages.merge(it.pool(), it.npages(), Math::addExact));
        return new Cost(1, 0, 0, pages);
    }

    /// A definition whose parent is absent, so that nothing says what it needs.
    public static Cost ofUnknownDevice() {
        return new Cost(1, 0, 0, Map.of());
    }

    public static Cost ofMachine(long ramBytes) {
        return new Cost(0, 1, ramBytes, Map.of());
    }

    Cost plus(Cost more) {
        Map<String, Long> sum = new TreeMap<>(pages);
        more.pages.forEach((pool, count) -> sum.merge(pool, count, Math::addExact));
        return new Cost(
                devices + more.devices,
                machines + more.machines,
                Math.addExact(ramBytes, more.ramBytes),
                sum);
    }
}
