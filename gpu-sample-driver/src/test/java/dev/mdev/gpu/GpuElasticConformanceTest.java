package dev.mdev.gpu;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

import java.util.Map;

/// The suite for a device whose VRAM comes and goes: more than the pool has, under permanent
/// pressure.
final class GpuElasticConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new GpuParentDriver(false);
    }

    @Override
    public Map<String, String> settings() {
        return Map.of("vram-mib", "16", "types-mib", "1024", "elastic-mib", "32");
    }
}
