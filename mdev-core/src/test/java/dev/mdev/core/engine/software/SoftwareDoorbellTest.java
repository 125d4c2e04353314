package dev.mdev.core.engine.software;

import dev.mdev.core.engine.DoorbellContract;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

class SoftwareDoorbellTest extends DoorbellContract {
    @Override
    protected Engine engine() {
        return new SoftwareEngine(DEADLINE);
    }

    @Override
    protected HostMemory newMemory() {
        return new HostMemory(new OffHeapBackend());
    }
}
