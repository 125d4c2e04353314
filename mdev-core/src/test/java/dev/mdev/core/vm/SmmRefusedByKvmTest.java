package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.Errno;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.memslot.SmmDesign;

import org.junit.jupiter.api.Test;

/// What the kernel lacks, a machine does not get.
@RealKvm
class SmmRefusedByKvmTest {
    private final KvmEngine engine = new KvmEngine(PciMachine.PATIENCE);

    private void assertRefused(SmmDesign design) {
        MachineSpec spec = new MachineSpec("vm", 4L << 20, 1, design);
        try (HostMemory memory = new HostMemory(new MemfdMemory())) {
            PciMachine.assertErrno(
                    Errno.EOPNOTSUPP, () -> new VirtualMachine(spec, engine, memory).close());
            new VirtualMachine(new MachineSpec("vm", 4L << 20, 1), engine, memory).close();
        }
    }

    @Test
    void aSlotFlagIsRefused() {
        assertThat(engine.lacksSmm(SmmDesign.SLOT_FLAG).orElseThrow()).contains("address spaces");
        assertRefused(SmmDesign.SLOT_FLAG);
    }

    @Test
    void aKernelWithoutTheModeSaysSo() {
        assumeTrue(
                engine.lacksSmm(SmmDesign.ADDRESS_SPACE).isPresent(),
                "this kernel has system management mode");
        assertThat(engine.lacksSmm(SmmDesign.ADDRESS_SPACE).orElseThrow())
                .contains("KVM_CAP_X86_SMM=0");
        assertRefused(SmmDesign.ADDRESS_SPACE);
    }
}
