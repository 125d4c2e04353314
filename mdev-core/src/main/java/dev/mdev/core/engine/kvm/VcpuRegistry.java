package dev.mdev.core.engine.kvm;

import dev.mdev.core.hostmm.FaultResult;

import java.util.Collection;
import java.util.concurrent.ConcurrentHashMap;

/// The virtual processors of one machine, by the kernel's numbers of their threads. Any thread.
final class VcpuRegistry {
    private final ConcurrentHashMap<Integer, RowRunner> byTid = new ConcurrentHashMap<>();

    void add(int tid, RowRunner vcpu) {
        byTid.put(tid, vcpu);
    }

    void remove(int tid) {
        byTid.remove(tid);
    }

    Collection<RowRunner> all() {
        return byTid.values();
    }

    /// Tells the processor of a thread that its fault ends otherwise than by a mapping.
    ///
    /// @return false if the thread is no processor's, or is one's that cannot be told
    boolean refuse(int tid, long hva, FaultResult result) {
        RowRunner vcpu = byTid.get(tid);
        return vcpu != null && vcpu.refuse(hva, result);
    }
}
