package dev.mdev.core.vm;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.SmmDesign;

final class SmmLayoutRaceTest extends LayoutRaceContract {
    @Override
    Engine engine() {
        return new SoftwareEngine(PciMachine.PATIENCE);
    }

    @Override
    SmmDesign smm() {
        return SmmDesign.ADDRESS_SPACE;
    }

    @Override
    MemoryBackend backend() {
        return new OffHeapBackend();
    }
}
