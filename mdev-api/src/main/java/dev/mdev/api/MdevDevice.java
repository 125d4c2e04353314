package dev.mdev.api;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One mediated device, as its driver implements it.
///
/// The host calls the methods of one device one at a time, except for [#isConcurrent], and holds no
/// lock of its own: a method may call everything of its [MdevContext] and [Aperture]. An exception
/// of a method is a failed access to the guest and the operator, and affects no other device.
///
/// A driver with threads of its own guards its state with locks of its own. While it holds a lock
/// that a callback takes, it must not call [MdevContext#revoke], which waits for guests' accesses,
/// or [GuestMemory], behind which may be a region of this same device: the host then calls back.
public interface MdevDevice extends AutoCloseable {
    /// The regions the guest sees; the same list at each call, no index twice.
    List<RegionInfo> regions();

    /// Decides which physical pages may be mapped where the guest just accessed a lazy area.
    ///
    /// Called when there is no mapping: at the first access, after a revocation, and when the host
    /// maps ahead. The host checks the answer: a grant must cover the accessed page, lie within the
    /// request's window, name only pages of this device's share, and allow the access. A grant that
    /// breaks a rule is refused as a whole. Pages of an elastic share are named by
    /// [MapDecision.FromPool] only.
    ///
    /// A mapped page keeps its physical page until it is revoked: a grant that covers mapped
    /// neighbours of the accessed page must name the physical page of each of them.
    ///
    /// A device without lazy or eager areas keeps the default.
    ///
    /// @return the pages to map, a trap or a denial of the access, or that the host is to ask again
    default MapDecision validateMapRequest(MapRequest request) {
        return new MapDecision.Trap();
    }

    /// A load from a trapped area. A device without registers keeps the default: everything reads
    /// as zero.
    ///
    /// @param region the region's index
    /// @param offsetBytes offset in the region; the access lies within the region
    /// @param widthBytes 1, 2, 4 or 8; the offset need not be a multiple of it
    /// @return the value, in the low bytes
    default long read(int region, long offsetBytes, int widthBytes) {
        return 0;
    }

    /// A store to a trapped area. A device without registers keeps the default: stores are ignored.
    ///
    /// @param region the region's index
    /// @param offsetBytes offset in the region; the access lies within the region
    /// @param widthBytes 1, 2, 4 or 8; the offset need not be a multiple of it
    /// @param value the value, in the low bytes; the others are zero
    default void write(int region, long offsetBytes, int widthBytes, long value) {}

    /// The doorbells that guests ring, at most [DoorbellInfo#MAX_DOORBELLS]. Constant.
    default List<DoorbellInfo> doorbells() {
        return List.of();
    }

    /// A guest rang a doorbell. Runs as a step ([MdevContext#runStep]), on a thread of the host's
    /// own, beside guests' accesses and other callbacks; never twice at a time. It may do DMA.
    ///
    /// No ring is lost: after each store, a call begins. Calls coalesce: one may stand for many
    /// stores. While the device must stand still, rings wait; a reset drops them. There are also
    /// calls without a store: after [DeviceState#resume], because rings are not saved, after
    /// [MdevContext#ring], and after the answer `AGAIN`. So look for work, rather than count calls.
    ///
    /// Do a slice of the work, and answer `AGAIN` if there is more. If this throws ECANCELED, as
    /// guest memory does while the host waits for the end of the step, the host calls again later.
    /// The operator is told of any other exception.
    ///
    /// @param doorbell its position in [#doorbells]
    default DoorbellInfo.Answer rung(int doorbell) {
        return DoorbellInfo.Answer.DONE;
    }

    /// Whether the device accepts guests' accesses ([#validateMapRequest], [#read] and [#write]) on
    /// several threads at a time, and guards its state itself. All other methods still run alone:
    /// none of the three runs at the same time. Constant.
    default boolean isConcurrent() {
        return false;
    }

    /// The device's identity. Constant.
    default PciIdentity identity() {
        return PciIdentity.UNSPECIFIED;
    }

    /// The interrupts it can raise. Constant.
    default IrqInfo irqs() {
        return IrqInfo.NONE;
    }

    /// Its other choices for configuration space. Constant.
    default PciOptions pci() {
        return PciOptions.DEFAULT;
    }

    /// Tells the device that a holder, usually a machine, gets it or has released it: to take and
    /// release what only a device in use needs, such as a thread.
    ///
    /// `true` comes before the first access of the holder; if it throws, the holder does not get
    /// the device. `false` comes after the last access, before the [#reset] for the next holder;
    /// that follows in any case. If the device is taken away by force, [#close] comes instead. No
    /// step of the device runs meanwhile: see [MdevContext#runStep].
    ///
    /// @param held whether the device has a holder from now on; alternates, from false at the
    ///   creation
    default void assigned(boolean held) {}

    /// Announces the removal of guest memory: the driver must close its pins in the range before
    /// this returns; the host closes remaining pins by force. From the call on, no page of the
    /// range can be pinned. Called only while pages of the range are pinned, and, like [#reset],
    /// while no step of the device runs: see [MdevContext#runStep].
    ///
    /// @param iova first address
    /// @param lengthBytes bytes
    default void dmaUnmapped(long iova, long lengthBytes) {}

    /// The guest's processor stored to a page that the device watches ([GuestMemory#watchWrites]).
    /// The bytes are in memory, and the processor waits for the return.
    ///
    /// @param iova first byte
    /// @param widthBytes 1 to 8; a store that crosses pages is told for each watched page
    /// @param value the stored bytes, in the low bytes
    default void guestWrote(long iova, int widthBytes, long value) {}

    /// The state that moves with the device; nothing if it cannot be moved.
    default Optional<DeviceState> state() {
        return Optional.empty();
    }

    /// The picture it puts out; nothing if it is not a display.
    default Optional<Display> display() {
        return Optional.empty();
    }

    /// What the device counted since its creation, for operators: by names in lower-case words with
    /// underscores and, at the end, their unit, such as `engine_work_units`. Called often.
    default Map<String, Long> counters() {
        return Map.of();
    }

    /// Whether the host may move the device's pages within the aperture while the device is idle:
    /// whether [#shareMoved] is implemented. Constant.
    default boolean isMovable() {
        return false;
    }

    /// Announces that the device's pages have changed: the host copied their content, page `i` of
    /// the old share of a pool to page `i` of the new one, and [MdevContext#share()] returns the
    /// new share from now on. The old pages keep their content while this runs, and must not be
    /// touched afterwards.
    ///
    /// Called only for a movable, idle device without mappings. If the device has a [#state], the
    /// host stops it before the copy, and resumes it afterwards; a device without one touches its
    /// pages in callbacks only. If this throws, the device keeps its old share, and must continue
    /// with that.
    ///
    /// @param share the new share, one entry for each demand of the type, in that order
    default void shareMoved(List<PoolShare> share) {
        throw new MdevException(Errno.EOPNOTSUPP, "the device cannot be moved");
    }

    /// Asks whether the host may take the physical pages of a unit of an elastic share, because
    /// another device, or another page of this one, needs them. The host asks only about pages that
    /// are not [pinned][ElasticMemory#pin]; after `true`, it revokes their mappings and moves their
    /// content away. The device must not use their physical pages from then on, until it asks for
    /// them again.
    ///
    /// Called on any thread, outside the device's turn: beside all other callbacks except
    /// [ParentDevice#create] and [#close], but never twice at a time. Must not block, and must call
    /// nothing of the context. An exception, or an answer after the deadline of a callback, counts
    /// as `false`. A refused unit is left alone for a while; a device whose driver refuses
    /// everything is reported to the operator.
    ///
    /// @param pool the pool of the share
    /// @param firstPage the unit's first page, counted from the start of the share
    /// @param npages pages of the unit
    default boolean evict(String pool, long firstPage, long npages) {
        return true;
    }

    /// Whether the host sets the device's pages to zero before each [#reset], and reads them back,
    /// so that the driver need not touch them. That takes as long as it takes: the deadline of a
    /// callback counts from the call of `reset`. It does so with elastic pages in any case.
    /// Constant.
    default boolean clearedByHost() {
        return false;
    }

    /// Whether the device has ended without the host: another program removed it, or its hardware
    /// left. The host asks when it looks again ([ParentHost#lookAgain]), and closes the device
    /// then.
    default boolean isGone() {
        return false;
    }

    /// Returns the device to its state after creation, including the content of its pages. The host
    /// has revoked all mappings.
    void reset();

    /// Ends the device. Its guest is gone and all mappings are revoked. The driver must release
    /// everything that it holds for the device: threads, pins, entries in tables.
    @Override
    default void close() {}
}
