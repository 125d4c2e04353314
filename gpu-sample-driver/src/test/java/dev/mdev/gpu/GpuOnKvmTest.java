package dev.mdev.gpu;

import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;

import org.junit.jupiter.api.extension.ExtendWith;

import java.time.Duration;

/// Loads and stores are those of a real virtual processor.
@ExtendWith(RealKvm.class)
final class GpuOnKvmTest extends GpuMachineContract {
    @Override
    dev.mdev.core.engine.Engine guestEngine() {
        return new KvmEngine(Duration.ofSeconds(60));
    }

    @Override
    HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }
}
