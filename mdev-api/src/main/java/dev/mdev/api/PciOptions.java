package dev.mdev.api;

import java.util.List;
import java.util.Optional;

/// The unusual choices for a device's configuration space.
///
/// @param express whether it is a PCI Express function, with 4096 bytes of configuration space; a
///   conventional one has 256
/// @param msix the place of the MSI-X table; if empty, the host adds a BAR for it
/// @param vendorData the bytes of a vendor-specific capability, after its length byte: each 0 to
///   255, at most 61; if empty, there is no such capability
public record PciOptions(boolean express, Optional<MsixPlacement> msix, List<Integer> vendorData) {
    /// A conventional function; everything else is the host's choice.
    public static final PciOptions DEFAULT = new PciOptions(false, Optional.empty(), List.of());

    /// A PCI Express function; everything else is the host's choice.
    public static final PciOptions EXPRESS = new PciOptions(true, Optional.empty(), List.of());

    private static final int MAX_VENDOR_BYTES = 61;

    public PciOptions {
        vendorData = List.copyOf(vendorData);
        if (vendorData.size() > MAX_VENDOR_BYTES
                || vendorData.stream().anyMatch(value -> value < 0 || value > 0xff)) {
            throw new IllegalArgumentException("vendorData=" + vendorData);
        }
    }
}
