package dev.mdev.core.engine.kvm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.StaleGrantContract;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;

@RealKvm
class KvmStaleGrantTest extends StaleGrantContract {
    @Override
    protected Engine engine() {
        return new KvmEngine(DEADLINE);
    }

    @Override
    protected HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }
}
