package dev.mdev.core.vm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.MemoryBackend;

@RealKvm
final class LayoutRaceOnKvmTest extends LayoutRaceContract {
    @Override
    Engine engine() {
        return new KvmEngine(PciMachine.PATIENCE);
    }

    @Override
    MemoryBackend backend() {
        return new MemfdMemory();
    }
}
