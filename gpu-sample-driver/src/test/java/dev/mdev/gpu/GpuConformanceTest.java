package dev.mdev.gpu;

import dev.mdev.api.ParentDriver;
import dev.mdev.api.testkit.ParentDriverConformance;

final class GpuConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new GpuParentDriver();
    }
}
