package dev.mdev.host.mdev;

import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Mdev;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// A device, as clients see it.
///
/// @param state its facts
/// @param created when it was created or adopted; only of a usable device: active and not foreign.
///   All others have no `overdue` either, zeroes, and empty lists
/// @param machine its holder, if any
/// @param faults answered faults of guests, without pages mapped ahead
/// @param residentPages pages mapped now
/// @param overdue the driver callback that exceeds its deadline, if any
/// @param regions the regions that a guest sees
/// @param share its pages of the parent's pools
record MdevView(
        UUID uuid,
        String parent,
        String type,
        StateView state,
        @Nullable Instant created,
        @Nullable String machine,
        long faults,
        long residentPages,
        @Nullable String overdue,
        List<Region> regions,
        List<Share> share) {

    /// A region of the device.
    record Region(
            int index, String name, long sizeBytes, long residentPages, List<RegionArea> areas) {}

    /// The device's pages of one of its parent's pools.
    record Share(String pool, long pages, int extents) {}

    /// @param mdev the device, if it is usable
    static MdevView of(MdevStatus status, Optional<Mdev> mdev) {
        return mdev.map(it -> of(status, it)).orElseGet(() -> of(status));
    }

    private static MdevView of(MdevStatus status) {
        return new MdevView(
                status.uuid(),
                status.parent(),
                status.type(),
                StateView.of(status),
                null,
                status.holder().orElse(null),
                0,
                0,
                null,
                List.of(),
                List.of());
    }

    private static MdevView of(MdevStatus status, Mdev mdev) {
        return new MdevView(
                mdev.uuid(),
                mdev.parent().name(),
                mdev.type().id(),
                StateView.of(status),
                mdev.created(),
                status.holder().orElse(null),
                mdev.faultCount(),
                mdev.residentPages(),
                mdev.overdueCallback().orElse(null),
                mdev.regions().stream().map(region -> region(mdev, region)).toList(),
                mdev.share().stream().map(MdevView::share).toList());
    }

    private static Region region(Mdev mdev, RegionInfo region) {
        return new Region(
                region.index(),
                region.name(),
                region.sizeBytes(),
                mdev.residentPages(region.index()),
                region.areas());
    }

    private static Share share(PoolShare share) {
        return new Share(share.pool(), share.npages(), share.extents().size());
    }
}
