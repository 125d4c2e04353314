package dev.mdev.core.engine.kvm;

import dev.mdev.core.hostmm.FaultResult;

import java.util.Collection;
import java.util.concurrent.ConcurrentHashMap;

/// The virtual processors of one machine, by the kernel's numbers of their threads. Any thread.
final class VcpuRegistry {
    private final ConcurrentHashMap<Integer, RowRunner> byTid = new ConcurrentHashMap<>();
    private final GuestHold hold = new GuestHold();

    void add(int tid, RowRunner vcpu) {
        byTid.put(tid, vcpu);
    }

    void remove(int tid) {
        byTid.remove(tid);
    }

    Collection<RowRunner> all() {
        return byTid.values();
    }

    /// What keeps the processors out of the guest: each looks at it before it enters.
    GuestHold hold() {
        return hold;
    }

    /// Does something while none of the processors is in the guest. Not to be called by a fault
    /// loop.
    void runWithoutGuest(Runnable action) {
        hold.run(all(), action);
    }

    /// Tells the processor of a thread that its fault ends otherwise than by a mapping.
    ///
    /// @return false if the thread is no processor's, or is one's that cannot be told
    boolean refuse(int tid, long hva, FaultResult result) {
        RowRunner vcpu = byTid.get(tid);
        return vcpu != null && vcpu.refuse(hva, result);
    }
}
