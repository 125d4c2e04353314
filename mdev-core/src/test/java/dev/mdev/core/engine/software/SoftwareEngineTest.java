package dev.mdev.core.engine.software;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineContract;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import java.time.Duration;

class SoftwareEngineTest extends EngineContract {
    @Override
    protected Engine engine() {
        return new SoftwareEngine(Duration.ofSeconds(10));
    }

    @Override
    protected HostMemory newMemory() {
        return new HostMemory(new OffHeapBackend());
    }
}
