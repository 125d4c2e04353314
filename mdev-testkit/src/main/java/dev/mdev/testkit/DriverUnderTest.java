package dev.mdev.testkit;

import dev.mdev.api.ParentDriver;
import dev.mdev.api.RegionInfo;

import java.time.Duration;
import java.util.Map;

/// What the conformance suite has to know of a driver.
public interface DriverUnderTest {
    /// A fresh driver object.
    ParentDriver newDriver();

    /// The settings under which it finds at least one device with at least one type.
    default Map<String, String> settings() {
        return Map.of();
    }

    /// Whether what a guest stores to a mappable page stays as it is until the guest stores again:
    /// true for memory, false for pages that the device itself changes.
    default boolean keepsContent(RegionInfo region, long page) {
        return true;
    }

    /// Whether the same accesses to a fresh device always give the same results. Say false for a
    /// device with a clock or a thread that shows.
    default boolean isDeterministic() {
        return true;
    }

    /// How long a callback may take.
    default Duration deadline() {
        return InMemoryHost.Options.standard().deadline();
    }
}
