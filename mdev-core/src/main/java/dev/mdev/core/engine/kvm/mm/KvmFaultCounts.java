package dev.mdev.core.engine.kvm.mm;

/// A machine's fault counts since its creation.
///
/// @param events faults that arrived at a fault loop
/// @param refused of these, trapped or denied
/// @param poisoned pages poisoned because a thread other than a virtual processor, or the kernel in
///   its place, accessed them without success
/// @param overdue faults without an answer within the deadline; each failed its access
/// @param broken accesses to broken memory
/// @param internalErrors faults whose answer threw; each failed its access
/// @param evictedMappings kernel mappings that were evicted to make room for others
public record KvmFaultCounts(
        long events,
        long refused,
        long poisoned,
        long overdue,
        long broken,
        long internalErrors,
        long evictedMappings) {}
