package dev.mdev.core.engine.kvm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.kvm.mm.MmapPageTable;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.sys.Syscalls;

import java.time.Duration;

/// The engine that runs guests on virtual processors of this machine, through `/dev/kvm`.
///
/// The memory of its guests must be files: [dev.mdev.core.engine.kvm.mm.MemfdMemory] or
/// [dev.mdev.core.engine.kvm.mm.FileMemory].
public final class KvmEngine implements Engine {
    private final Syscalls sys;
    private final Duration deadline;
    private final VmaBudget budget;

    /// @param deadline the maximum time that an access waits for the answer to its fault; it fails
    ///   after at most two and a half times as long
    public KvmEngine(Duration deadline) {
        this(Syscalls.ofThisProcess(), deadline, VmaBudget.ofThisProcess());
    }

    KvmEngine(Syscalls sys, Duration deadline, VmaBudget budget) {
        if (deadline.isNegative() || deadline.isZero()) {
            throw new IllegalArgumentException("deadline=" + deadline);
        }
        this.sys = sys;
        this.deadline = deadline;
        this.budget = budget;
    }

    @Override
    public String name() {
        return "kvm";
    }

    @Override
    public EngineProbe probe() {
        return new KvmProbe(sys, budget).probe();
    }

    @Override
    public KvmGuest createGuest(AddressSpaces slots, HostMemory memory) {
        return KvmGuest.create(new MmapPageTable.Shared(sys, budget, deadline), slots, memory);
    }
}
