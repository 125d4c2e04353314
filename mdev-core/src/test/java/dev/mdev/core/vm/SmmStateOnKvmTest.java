package dev.mdev.core.vm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.gate.OnlyInBox;

/// In the box the kernel has system management mode.
@RealKvm
@OnlyInBox
class SmmStateOnKvmTest extends SmmStateContract {
    @Override
    Engine engine() {
        return new KvmEngine(PciMachine.PATIENCE);
    }

    @Override
    MemoryBackend backend() {
        return new MemfdMemory();
    }
}
