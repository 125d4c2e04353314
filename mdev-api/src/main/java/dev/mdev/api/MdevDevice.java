package dev.mdev.api;

import java.util.List;

/// One mediated device, as its driver implements it.
///
/// The host calls the methods of one device one at a time unless said otherwise, holding no lock of
/// its own: a method may call everything of its [MdevContext] and [Aperture]. Whatever a method
/// throws is the guest's and the operator's to see as a failed access, and harms no other device.
public interface MdevDevice extends AutoCloseable {
    /// The regions the guest sees; the same list at each call, no index twice.
    List<RegionInfo> regions();

    /// Says which physical pages may be mapped where the guest just touched a lazy area.
    ///
    /// Called when no mapping is there: at the first access, after a revocation, and when the host
    /// wants to map ahead. The answer is checked: a grant must cover the touched page, lie within
    /// the window the request allows, name only pages of this device's share, and allow the access.
    /// A grant that breaks a rule is refused as a whole.
    ///
    /// @return what may be mapped, or that the access is to be trapped or denied
    MapDecision validateMapRequest(MapRequest request);

    /// A load from a trapped area.
    ///
    /// @param region the region's index
    /// @param offsetBytes offset in the region; the access lies within the region
    /// @param widthBytes 1, 2, 4 or 8; the offset need not be a multiple of it
    /// @return the value, in the low bytes
    long read(int region, long offsetBytes, int widthBytes);

    /// A store to a trapped area.
    ///
    /// @param region the region's index
    /// @param offsetBytes offset in the region; the access lies within the region
    /// @param widthBytes 1, 2, 4 or 8; the offset need not be a multiple of it
    /// @param value the value, in the low bytes; the others are zero
    void write(int region, long offsetBytes, int widthBytes, long value);

    /// Puts the device into the state it had after creation. The host has revoked all mappings.
    void reset();

    /// Ends the device. Its guest is gone and all mappings are revoked.
    @Override
    void close();
}
