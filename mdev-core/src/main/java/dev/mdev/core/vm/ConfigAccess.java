package dev.mdev.core.vm;

import dev.mdev.api.MdevException;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;

/// A device's configuration space as its guest reaches it, without going through a processor.
///
/// Any thread may call all methods, except a driver's in a callback.
public final class ConfigAccess {
    private final PciFunction function;
    private final String address;

    ConfigAccess(PciFunction function, String address) {
        this.function = function;
        this.address = address;
    }

    /// The size of the space: 256 or 4096.
    public int sizeBytes() {
        return function.config().sizeBytes();
    }

    /// Reads. Bytes outside the space read as ones.
    ///
    /// @param widthBytes 1 to 8
    public long read(int offsetBytes, int widthBytes) {
        return function.readConfig(offsetBytes, widthBytes);
    }

    /// Writes, and applies the effects: when this returns, BARs are where the registers say. Bytes
    /// outside the space are ignored.
    ///
    /// @param widthBytes 1 to 8
    /// @throws MdevException the driver's error, if the write reset the device
    public void write(int offsetBytes, int widthBytes, long value) {
        if (function.writeConfig(offsetBytes, widthBytes, value)
                instanceof RegionAccess.Failed failed) {
            throw failed.refusal().toException();
        }
    }

    /// The place of the capability with an id, or 0.
    public int capability(int id) {
        return function.config().capability(id);
    }

    /// All bytes, as `lspci -xxxx` prints them and `lspci -F` reads them.
    public String dump() {
        return function.config().dump(address);
    }
}
