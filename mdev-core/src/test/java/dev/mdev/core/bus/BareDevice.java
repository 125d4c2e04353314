package dev.mdev.core.bus;

import dev.mdev.api.MdevDevice;
import dev.mdev.api.RegionInfo;

import java.util.List;

/// A device that shows its guest nothing.
record BareDevice() implements MdevDevice {
    @Override
    public List<RegionInfo> regions() {
        return List.of();
    }

    @Override
    public void reset() {}
}
