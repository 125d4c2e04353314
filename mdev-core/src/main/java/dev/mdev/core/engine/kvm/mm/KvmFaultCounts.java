package dev.mdev.core.engine.kvm.mm;

/// What a machine's faults came to, since it was made.
///
/// @param events faults that arrived at a fault loop
/// @param refused of these, trapped or denied
/// @param poisoned pages that were poisoned because somebody other than a virtual processor, or the
///   kernel in its place, touched them in vain
/// @param overdue faults that nobody answered within the deadline; each failed its access
/// @param broken accesses to broken memory
/// @param internalErrors faults whose answer threw; each failed its access
/// @param evictedMappings kernel mappings that were given back to make room for others
public record KvmFaultCounts(
        long events,
        long refused,
        long poisoned,
        long overdue,
        long broken,
        long internalErrors,
        long evictedMappings) {}
