package dev.mdev.gpu;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

/// The driver with its default settings.
final class GpuConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new GpuParentDriver();
    }

    /// The engine's thread is visible in the registers of the queue.
    @Override
    public boolean isDeterministic() {
        return false;
    }
}
