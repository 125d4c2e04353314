package dev.mdev.core.engine.kvm;

import dev.mdev.core.engine.kvm.mm.FaultedVcpus;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.sync.GuestHold;
import dev.mdev.core.topology.VcpuPause;

import java.util.Collection;
import java.util.concurrent.ConcurrentHashMap;

/// The virtual processors of one machine, by the kernel's numbers of their threads. Any thread.
public final class VcpuRegistry implements FaultedVcpus, VcpuPause {
    private final ConcurrentHashMap<Integer, KvmRunLoop> byTid = new ConcurrentHashMap<>();
    private final GuestHold hold = new GuestHold();

    void add(int tid, KvmRunLoop vcpu) {
        byTid.put(tid, vcpu);
    }

    void remove(int tid) {
        byTid.remove(tid);
    }

    Collection<KvmRunLoop> all() {
        return byTid.values();
    }

    /// The hold that keeps the processors out of the guest: each checks it before it enters.
    GuestHold guestHold() {
        return hold;
    }

    /// Must not be called by a fault loop.
    @Override
    public Hold hold() {
        hold.begin();
        all().forEach(KvmRunLoop::awaitOut);
        return hold::end;
    }

    /// Runs an action while every processor is outside the guest. Must not be called by a fault
    /// loop.
    void runWithoutGuest(Runnable action) {
        try (Hold _ = hold()) {
            action.run();
        }
    }

    @Override
    public boolean refuse(int tid, long hva, FaultResult result) {
        KvmRunLoop vcpu = byTid.get(tid);
        return vcpu != null && vcpu.refuse(hva, result);
    }
}
