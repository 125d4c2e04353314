package com.example.driver;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.ParentDriverConformance;

final class MyDriverConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new MyDriver();
    }
}
