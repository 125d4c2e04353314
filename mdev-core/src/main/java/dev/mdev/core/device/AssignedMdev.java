package dev.mdev.core.device;

import dev.mdev.core.pci.FunctionBackend;
import dev.mdev.core.pci.GuestPort;
import dev.mdev.core.pci.PciProfile;
import dev.mdev.core.pci.RegionAccess;

/// A device for the time of one assignment.
///
/// @param epoch what [Mdev#assign] returned
record AssignedMdev(Mdev mdev, long epoch) implements FunctionBackend {
    @Override
    public PciProfile profile() {
        return mdev.profile();
    }

    @Override
    public void connect(GuestPort port) {
        mdev.connect(epoch, port);
    }

    @Override
    public RegionAccess read(int region, long offsetBytes, int widthBytes) {
        return mdev.read(epoch, region, offsetBytes, widthBytes);
    }

    @Override
    public RegionAccess write(int region, long offsetBytes, int widthBytes, long value) {
        return mdev.write(epoch, region, offsetBytes, widthBytes, value);
    }

    @Override
    public RegionAccess reset() {
        return mdev.reset(epoch);
    }

    @Override
    public String toString() {
        return mdev.toString();
    }
}
