package dev.mdev.api;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One mediated device, as its driver implements it.
///
/// The host calls the methods of one device one at a time, but for [#isConcurrent], holding no lock
/// of its own: a method may call everything of its [MdevContext] and [Aperture]. Whatever a method
/// throws is the guest's and the operator's to see as a failed access, and harms no other device.
///
/// A driver with threads of its own guards its state with locks of its own. It must hold none that
/// a callback takes while it calls [MdevContext#revoke], which waits for guests' accesses, or
/// [GuestMemory], behind which may lie a region of this very device: the host then calls back.
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
    /// A mapped page keeps its physical page until it is revoked: a grant that covers neighbours of
    /// the touched page must name for each of them the page that it is mapped to, if it is.
    ///
    /// @return what may be mapped, or that the access is to be trapped or denied
    MapDecision validateMapRequest(MapRequest request);

    /// A load from a trapped area. A device without registers leaves this as it is: everything
    /// reads as zero.
    ///
    /// @param region the region's index
    /// @param offsetBytes offset in the region; the access lies within the region
    /// @param widthBytes 1, 2, 4 or 8; the offset need not be a multiple of it
    /// @return the value, in the low bytes
    default long read(int region, long offsetBytes, int widthBytes) {
        return 0;
    }

    /// A store to a trapped area. A device without registers leaves this as it is: stores are
    /// ignored.
    ///
    /// @param region the region's index
    /// @param offsetBytes offset in the region; the access lies within the region
    /// @param widthBytes 1, 2, 4 or 8; the offset need not be a multiple of it
    /// @param value the value, in the low bytes; the others are zero
    default void write(int region, long offsetBytes, int widthBytes, long value) {}

    /// Whether the device takes guests' accesses, [#validateMapRequest], [#read] and [#write], from
    /// several threads at a time, and guards its state itself. All other methods are called alone
    /// all the same: none of the three runs meanwhile. The same at each call.
    default boolean isConcurrent() {
        return false;
    }

    /// How the device introduces itself. The same at each call.
    default PciIdentity identity() {
        return PciIdentity.UNSPECIFIED;
    }

    /// The interrupts it can raise. The same at each call.
    default IrqInfo irqs() {
        return IrqInfo.NONE;
    }

    /// What else of its configuration space it decides. The same at each call.
    default PciOptions pci() {
        return PciOptions.DEFAULT;
    }

    /// Tells of guest memory that goes away: pins in the range are to be closed before this
    /// returns, and what is left pinned then is unpinned by force. From the call on, no page of the
    /// range can be pinned. Called only while pages of the range are pinned.
    ///
    /// @param iova first address
    /// @param lengthBytes bytes
    default void dmaUnmapped(long iova, long lengthBytes) {}

    /// The state that moves with the device; nothing if it cannot be moved.
    default Optional<DeviceState> state() {
        return Optional.empty();
    }

    /// The picture it puts out; nothing if it is no display.
    default Optional<Display> display() {
        return Optional.empty();
    }

    /// What the device counted since its creation, for operators: by names in lower-case words with
    /// underscores and, at the end, their unit, such as `engine_work_units`. Called often.
    default Map<String, Long> counters() {
        return Map.of();
    }

    /// Whether the host may move the device's pages within the aperture while nobody has the
    /// device: whether [#shareMoved] is implemented. The same at each call.
    default boolean isMovable() {
        return false;
    }

    /// Tells that the device's pages are others now: the host copied their content, page `i` of the
    /// old share of a pool to page `i` of the new one, and [MdevContext#share()] returns the new
    /// share from now on. The old pages still have their content while this runs, and may not be
    /// touched after it returned.
    ///
    /// Called only of a device that is movable and not assigned, and nothing of it is mapped. If it
    /// has a [#state], that was told to stop before the pages were copied, and is told to go on
    /// afterwards; a device without one touches its pages in callbacks only. If this throws, the
    /// device keeps its old share, and must go on with that.
    ///
    /// @param share the new share, one entry for each demand of the type, in that order
    default void shareMoved(List<PoolShare> share) {
        throw new MdevException(Errno.EOPNOTSUPP, "the device cannot be moved");
    }

    /// Puts the device into the state it had after creation. The host has revoked all mappings.
    void reset();

    /// Ends the device. Its guest is gone and all mappings are revoked. What the driver took for it
    /// has to be given back: threads, pins, entries in tables.
    @Override
    default void close() {}
}
