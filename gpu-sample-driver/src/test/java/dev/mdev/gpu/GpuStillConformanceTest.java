package dev.mdev.gpu;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

import org.junit.jupiter.api.Tag;

import java.util.Map;

/// The driver with engines that do not run, so that every result can be compared, and with a grant
/// size and a type that are not powers of two.
@Tag("slow")
final class GpuStillConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new GpuParentDriver(false);
    }

    @Override
    public Map<String, String> settings() {
        return Map.of("types-mib", "3,16", "vram-mib", "48", "grant-pages", "7", "count", "2");
    }
}
