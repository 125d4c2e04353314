package dev.mdev.host.access;

import org.jspecify.annotations.Nullable;

import java.util.Set;

/// The part of the host that a caller sees.
///
/// @param tenant the tenant whose devices and machines they are; all and everyone's if absent
/// @param parents the names of the parents; all if empty
/// @param machines the names of the machines; all if empty
public record Reach(@Nullable String tenant, Set<String> parents, Set<String> machines) {
    /// The whole host.
    public static final Reach EVERYTHING = new Reach(null, Set.of(), Set.of());

    public Reach {
        parents = Set.copyOf(parents);
        machines = Set.copyOf(machines);
    }

    /// Whether it is the whole host.
    boolean isEverything() {
        return equals(EVERYTHING);
    }

    boolean hasParent(String name) {
        return parents.isEmpty() || parents.contains(name);
    }

    boolean hasMachine(String name) {
        return machines.isEmpty() || machines.contains(name);
    }

    /// Whether all of another reach is within this one.
    boolean includes(Reach other) {
        return (tenant == null || tenant.equals(other.tenant))
                && includes(parents, other.parents)
                && includes(machines, other.machines);
    }

    private static boolean includes(Set<String> all, Set<String> some) {
        return all.isEmpty() || (!some.isEmpty() && all.containsAll(some));
    }
}
