package dev.mdev.gpu;

import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.gate.Deadlines;

@RealKvm
final class ElasticVramOnKvmTest extends ElasticVramContract {
    @Override
    dev.mdev.core.engine.Engine guestEngine() {
        return new KvmEngine(Deadlines.HANG);
    }

    @Override
    HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }
}
