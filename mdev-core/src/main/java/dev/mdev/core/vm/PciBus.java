package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.core.pci.RegionAccess;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.atomic.AtomicReferenceArray;

/// Bus 0 of a machine: which function answers which accesses to configuration space. Finds
/// functions without a lock.
final class PciBus implements MmioBus.Target {
    private static final int DEVICES = 32;
    private static final int FIRST_DEVICE = 1;
    private static final int FUNCTION_BYTES = 4096;
    private static final int FUNCTIONS = 8;

    private final AtomicReferenceArray<@Nullable AttachedDevice> devices =
            new AtomicReferenceArray<>(DEVICES);

    private final @Nullable HostBridge bridge;
    private volatile Runnable bridgeChanged = () -> {};

    /// @param bridge function 0 of device 0, if there is one
    PciBus(@Nullable HostBridge bridge) {
        this.bridge = bridge;
    }

    /// Sets what follows a change of the host bridge's registers, before the writer continues.
    void onBridgeChange(Runnable action) {
        bridgeChanged = action;
    }

    /// The offset in the memory-mapped configuration space of function 0 of a device.
    static long configOffset(int deviceNumber) {
        return (long) deviceNumber * FUNCTIONS * FUNCTION_BYTES;
    }

    /// A free device number.
    ///
    /// @throws MdevException ENOSPC if all are taken
    int freeNumber() {
        for (int number = FIRST_DEVICE; number < DEVICES; number++) {
            if (devices.get(number) == null) {
                return number;
            }
        }
        throw new MdevException(Errno.ENOSPC, "the bus has no room: devices=" + (DEVICES - 1));
    }

    /// A given device number.
    ///
    /// @throws MdevException EINVAL if there is no such number, EEXIST if it is taken
    int number(int wanted) {
        if (wanted < FIRST_DEVICE || wanted >= DEVICES) {
            throw new MdevException(Errno.EINVAL, "device number=" + wanted);
        }
        if (devices.get(wanted) != null) {
            throw new MdevException(Errno.EEXIST, "device number=" + wanted);
        }
        return wanted;
    }

    void plug(AttachedDevice device) {
        devices.set(device.deviceNumber(), device);
    }

    void unplug(AttachedDevice device) {
        devices.compareAndSet(device.deviceNumber(), device, null);
    }

    private @Nullable AttachedDevice deviceAt(long offsetBytes) {
        long function = offsetBytes / FUNCTION_BYTES;
        return function % FUNCTIONS == 0 ? devices.get((int) (function / FUNCTIONS)) : null;
    }

    /// An access to configuration space. An empty slot reads as ones, which is no valid vendor id.
    @Override
    public RegionAccess read(long offsetBytes, int widthBytes) {
        if (bridge != null && offsetBytes < FUNCTION_BYTES) {
            return new RegionAccess.Done(bridge.read((int) offsetBytes, widthBytes));
        }
        AttachedDevice device = deviceAt(offsetBytes);
        return new RegionAccess.Done(
                device == null
                        ? -1
                        : device.function()
                                .readConfig((int) (offsetBytes % FUNCTION_BYTES), widthBytes));
    }

    @Override
    public RegionAccess write(long offsetBytes, int widthBytes, long value) {
        if (bridge != null && offsetBytes < FUNCTION_BYTES) {
            return writeBridge(bridge, (int) offsetBytes, widthBytes, value);
        }
        AttachedDevice device = deviceAt(offsetBytes);
        return device == null
                ? new RegionAccess.Done(0)
                : device.function()
                        .writeConfig((int) (offsetBytes % FUNCTION_BYTES), widthBytes, value);
    }

    private RegionAccess writeBridge(HostBridge its, int offset, int widthBytes, long value) {
        try {
            if (its.write(offset, widthBytes, value)) {
                bridgeChanged.run();
            }
            return new RegionAccess.Done(0);
        } catch (MdevException e) {
            return new RegionAccess.Failed(Refusal.of(e));
        }
    }
}
