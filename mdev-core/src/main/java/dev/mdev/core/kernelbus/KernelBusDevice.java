package dev.mdev.core.kernelbus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;

import java.util.List;
import java.util.UUID;

/// One device of the kernel's bus. The kernel serves its guests: this host creates and ends it.
final class KernelBusDevice implements MdevDevice {
    private final KernelBusParent parent;
    private final UUID uuid;
    private final String type;

    KernelBusDevice(KernelBusParent parent, UUID uuid, String type) {
        this.parent = parent;
        this.uuid = uuid;
        this.type = type;
    }

    /// The kernel shows them to the program that opens the device.
    @Override
    public List<RegionInfo> regions() {
        return List.of();
    }

    @Override
    public void assigned(boolean held) {
        if (held) {
            throw notHere("it cannot be attached to a machine of this service");
        }
    }

    /// The kernel resets a device when a program opens it.
    @Override
    public void reset() {
        throw notHere("the program that has it open resets it");
    }

    private MdevException notHere(String why) {
        return new MdevException(
                Errno.EOPNOTSUPP,
                "mdev=%s lives in the kernel: %s; %s".formatted(uuid, why, parent.howToUse(uuid)));
    }

    @Override
    public boolean isGone() {
        return parent.isGone(uuid, type);
    }

    /// Does not return while a program has the device open.
    @Override
    public void close() {
        parent.end(uuid, type);
    }
}
