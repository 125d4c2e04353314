package dev.mdev.testkit;

import dev.mdev.api.ParentDriver;
import dev.mdev.api.RegionInfo;

import java.time.Duration;
import java.util.Map;

/// A driver, and the properties that the conformance suite must know.
public interface DriverUnderTest {
    /// A new driver object.
    ParentDriver newDriver();

    /// Settings with which it finds at least one device with at least one type.
    default Map<String, String> settings() {
        return Map.of();
    }

    /// Whether a mappable page keeps what a guest stores until the guest stores again: true for
    /// memory, false for pages that the device itself changes.
    default boolean keepsContent(RegionInfo region, long page) {
        return true;
    }

    /// Whether the same accesses to a new device always give the same results. False for a device
    /// with a visible clock or thread.
    default boolean isDeterministic() {
        return true;
    }

    /// The deadline of a callback.
    default Duration deadline() {
        return InMemoryHost.Options.standard().deadline();
    }
}
