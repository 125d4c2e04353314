package dev.mdev.api;

/// The identity of a device in PCI configuration space.
///
/// @param vendorId 16 bits
/// @param deviceId 16 bits
/// @param classCode base class, sub-class, interface: 24 bits, such as 0x038000 for a display
///   controller
/// @param revision 8 bits
/// @param subsystemVendorId 16 bits
/// @param subsystemId 16 bits
public record PciIdentity(
        int vendorId,
        int deviceId,
        int classCode,
        int revision,
        int subsystemVendorId,
        int subsystemId) {
    /// A device without a specific identity: an unassigned class of a vendor id reserved for
    /// software.
    public static final PciIdentity UNSPECIFIED =
            new PciIdentity(0x1234, 0x0001, 0xff0000, 0, 0x1af4, 0x1100);

    public PciIdentity {
        require("vendorId", vendorId, 16);
        require("deviceId", deviceId, 16);
        require("classCode", classCode, 24);
        require("revision", revision, 8);
        require("subsystemVendorId", subsystemVendorId, 16);
        require("subsystemId", subsystemId, 16);
    }

    private static void require(String name, int value, int bits) {
        if (value < 0 || value >= 1 << bits) {
            throw new IllegalArgumentException("%s=0x%x".formatted(name, value));
        }
    }
}
