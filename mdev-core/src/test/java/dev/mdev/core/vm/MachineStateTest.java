package dev.mdev.core.vm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;

final class MachineStateTest extends MachineStateContract {
    @Override
    Engine engine() {
        return new SoftwareEngine(PciMachine.PATIENCE);
    }

    @Override
    MemoryBackend backend() {
        return new OffHeapBackend();
    }
}
