package dev.mdev.api.drivers;

import dev.mdev.api.ParentDriver;
import dev.mdev.api.testkit.ParentDriverConformance;

final class NullDriverConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new NullDriver();
    }
}
