package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.hostmm.FaultResult;

/// The vCPUs that may fault in a page table's ranges, as the fault loops see them. Any thread.
@FunctionalInterface
public interface FaultedVcpus {
    /// Reports to a thread's vCPU that its fault ends without a mapping.
    ///
    /// @param tid the kernel's number of the thread that faulted
    /// @param hva the accessed host virtual address
    /// @return false if the thread runs no vCPU, or the vCPU cannot take the report
    boolean refuse(int tid, long hva, FaultResult result);
}
