package dev.mdev.core.engine.kvm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.MmapPageTable;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.core.sys.KvmAbi;
import dev.mdev.core.sys.Syscalls;

import java.time.Duration;
import java.util.Optional;

/// The engine that runs guests on virtual processors of this machine, through `/dev/kvm`.
///
/// The memory of its guests must be files: [dev.mdev.core.engine.kvm.mm.MemfdMemory], and for the
/// memory of devices [dev.mdev.core.hostfile.DeviceFile].
public final class KvmEngine implements Engine {
    private final Syscalls sys;
    private final Duration deadline;
    private final VmaBudget budget;

    /// 0 until the first question.
    private volatile int addressBits;

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
    public int physicalAddressBits() {
        int known = addressBits;
        if (known == 0) {
            try (KvmVm vm = KvmVm.create(sys)) {
                known = vm.physicalAddressBits();
            }
            addressBits = known;
        }
        return known;
    }

    @Override
    public Optional<String> lacksSmm(SmmDesign design) {
        return switch (design) {
            case NONE -> Optional.empty();
            case SLOT_FLAG ->
                    Optional.of("Linux has no slot flag for it: it has two address spaces instead");
            case ADDRESS_SPACE -> lacksSmm();
        };
    }

    private Optional<String> lacksSmm() {
        try (KvmVm vm = KvmVm.create(sys)) {
            int smm = vm.checkExtension(KvmAbi.KVM_CAP_X86_SMM);
            int spaces = vm.checkExtension(KvmAbi.KVM_CAP_MULTI_ADDRESS_SPACE);
            return smm != 0 && spaces > 1
                    ? Optional.empty()
                    : Optional.of(
                            "this kernel has none: KVM_CAP_X86_SMM=%d KVM_CAP_MULTI_ADDRESS_SPACE=%d"
                                    .formatted(smm, spaces));
        }
    }

    @Override
    public KvmGuest createGuest(AddressSpaces slots, HostMemory memory) {
        return KvmGuest.create(new MmapPageTable.Shared(sys, budget, deadline), slots, memory);
    }
}
