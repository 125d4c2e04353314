package dev.mdev.gpu;

import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;

import java.time.Duration;

final class GpuOnSoftwareTest extends GpuMachineContract {
    @Override
    dev.mdev.core.engine.Engine guestEngine() {
        return new SoftwareEngine(Duration.ofSeconds(60));
    }

    @Override
    HostMemory newMemory() {
        return new HostMemory(new OffHeapBackend());
    }
}
