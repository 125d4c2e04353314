package dev.mdev.gpu;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

import org.junit.jupiter.api.Tag;

import java.util.Map;

/// The driver with the guest's pages scattered over its share.
@Tag("slow")
final class GpuPermutedConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new GpuParentDriver(false);
    }

    @Override
    public Map<String, String> settings() {
        return Map.of("permute", "true", "vram-mib", "32");
    }
}
