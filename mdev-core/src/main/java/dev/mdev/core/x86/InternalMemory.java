package dev.mdev.core.x86;

/// Host memory for a machine's own slots: anonymous, zeroed, and shared, so that a fork of the VMM
/// still shares it with the guest.
public interface InternalMemory {
    /// Maps memory.
    ///
    /// @param sizeBytes a multiple of the page size
    /// @return its hva
    /// @throws dev.mdev.api.MdevException ENOMEM
    long map(long sizeBytes);

    /// Unmaps what [#map] returned.
    void unmap(long hva, long sizeBytes);
}
