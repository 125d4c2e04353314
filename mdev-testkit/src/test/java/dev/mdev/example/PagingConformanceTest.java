package dev.mdev.example;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

final class PagingConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new PagingDriver();
    }
}
