package dev.mdev.pcisplit;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.gate.OnlyInBox;

/// A PCI function of a real kernel, and guests on real virtual processors.
@OnlyInBox
@RealKvm
class RealFunctionTest extends SplitMachineContract {
    private static final String FIRST = "0000:01:00.0";

    @Override
    Engine newEngine() {
        return new KvmEngine(DEADLINE);
    }

    @Override
    HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }

    @Override
    PciSplitDriver newDriver() {
        return new PciSplitDriver();
    }

    /// The function in the first port; the last test unplugs it.
    @Override
    String address() {
        return FIRST;
    }

    @Override
    void unplug() {
        BoxFunctions.unplug("ivshmem1");
    }
}
