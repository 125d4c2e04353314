package dev.mdev.example;

import dev.mdev.api.ParentDriver;
import dev.mdev.api.RegionInfo;
import dev.mdev.testkit.ParentDriverConformance;

final class ChecksumConformanceTest extends ParentDriverConformance {
    @Override
    public ParentDriver newDriver() {
        return new ChecksumDriver();
    }

    /// The work shows in the registers, and goes on beside the guest.
    @Override
    public boolean isDeterministic() {
        return false;
    }

    /// Results are the device's to store.
    @Override
    public boolean keepsContent(RegionInfo region, long page) {
        return false;
    }
}
