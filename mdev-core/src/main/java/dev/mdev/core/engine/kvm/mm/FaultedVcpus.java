package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.hostmm.FaultResult;

/// The vCPUs that may fault in a page table's ranges, as the fault loops see them. Any thread.
@FunctionalInterface
public interface FaultedVcpus {
    /// Tells the vCPU of a thread that its fault ends otherwise than by a mapping.
    ///
    /// @param tid the kernel's number of the thread that faulted
    /// @param hva the host virtual address that it touched
    /// @return false if the thread runs no vCPU, or runs one that cannot be told
    boolean refuse(int tid, long hva, FaultResult result);
}
