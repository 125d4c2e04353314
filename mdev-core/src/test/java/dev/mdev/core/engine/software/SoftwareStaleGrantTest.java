package dev.mdev.core.engine.software;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.StaleGrantContract;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

class SoftwareStaleGrantTest extends StaleGrantContract {
    @Override
    protected Engine engine() {
        return new SoftwareEngine(DEADLINE);
    }

    @Override
    protected HostMemory newMemory() {
        return new HostMemory(new OffHeapBackend());
    }
}
