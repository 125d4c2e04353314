package dev.mdev.core.engine.kvm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.vm.ReservedRamTest;
import dev.mdev.gate.Deadlines;

/// The RAM of a machine of the kernel.
@RealKvm
class KvmReservedRamTest extends ReservedRamTest {
    @Override
    protected Engine engine() {
        return new KvmEngine(Deadlines.HANG);
    }
}
