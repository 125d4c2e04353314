package dev.mdev.core.vm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.memslot.SmmDesign;
import dev.mdev.gate.OnlyInBox;

/// In the box the kernel has system management mode.
@RealKvm
@OnlyInBox
final class SmmLayoutRaceOnKvmTest extends LayoutRaceContract {
    @Override
    Engine engine() {
        return new KvmEngine(PciMachine.PATIENCE);
    }

    @Override
    SmmDesign smm() {
        return SmmDesign.ADDRESS_SPACE;
    }

    /// The box's processor is emulated, so that each takes its time.
    @Override
    int moves() {
        return super.moves() / 3;
    }

    @Override
    MemoryBackend backend() {
        return new MemfdMemory();
    }
}
