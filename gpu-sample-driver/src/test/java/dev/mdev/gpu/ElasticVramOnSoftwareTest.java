package dev.mdev.gpu;

import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.gate.Deadlines;

final class ElasticVramOnSoftwareTest extends ElasticVramContract {
    @Override
    dev.mdev.core.engine.Engine guestEngine() {
        return new SoftwareEngine(Deadlines.HANG);
    }

    @Override
    HostMemory newMemory() {
        return new HostMemory(new OffHeapBackend());
    }
}
