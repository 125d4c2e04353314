package dev.mdev.host.mdev;

import dev.mdev.api.Attribute;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.host.event.Trouble;
import dev.mdev.host.label.Metadata;
import dev.mdev.host.web.Tagged;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.UUID;

/// A device, as clients see it.
///
/// @param state its facts
/// @param created when it was created or adopted; only of a usable device: active and not foreign.
///   All others have no `overdue` either, zeroes, and empty lists
/// @param machine its holder, if any; of a device in the kernel, the processes that use it
/// @param faults answered faults of guests, without pages mapped ahead
/// @param residentPages pages mapped now
/// @param overdue the driver callback that exceeds its deadline, if any
/// @param regions the regions that a guest sees
/// @param share its pages of the parent's pools
/// @param attributes the settings of its definition, in their order
/// @param kernel how a program outside this service gets it, if it lives in the kernel
/// @param displayName a name for people
/// @param labels words to select by; its definition has the same
public record MdevView(
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
        List<Share> share,
        List<Attribute> attributes,
        @Nullable KernelView kernel,
        @Nullable String displayName,
        @Nullable String description,
        SortedMap<String, String> labels)
        implements Tagged {

    /// A region of the device.
    record Region(
            int index, String name, long sizeBytes, long residentPages, List<RegionArea> areas) {}

    /// The device's pages of one of its parent's pools.
    record Share(String pool, long pages, int extents) {}

    /// @param mdev the device, if it is usable
    static MdevView of(
            MdevStatus status,
            Optional<Mdev> mdev,
            List<Trouble> troubles,
            @Nullable KernelView kernel,
            Metadata metadata) {
        StateView state = StateView.of(status, troubles);
        return mdev.map(it -> of(status, it, state, kernel, metadata))
                .orElseGet(() -> of(status, state, kernel, metadata));
    }

    @Override
    public String etag() {
        return Tagged.of(
                uuid,
                parent,
                type,
                state.autostart() == null ? "undefined" : state.autostart(),
                state.owner(),
                state.activity(),
                machine == null ? "idle" : machine,
                attributes,
                new Metadata(displayName, description, labels));
    }

    private static MdevView of(
            MdevStatus status, StateView state, @Nullable KernelView kernel, Metadata metadata) {
        return new MdevView(
                status.uuid(),
                status.parent(),
                status.type(),
                state,
                null,
                status.holder().orElse(null),
                0,
                0,
                null,
                List.of(),
                List.of(),
                attributes(status),
                kernel,
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
    }

    private static List<Attribute> attributes(MdevStatus status) {
        return status.definition().map(MdevDefinition::attributes).orElse(List.of());
    }

    private static MdevView of(
            MdevStatus status,
            Mdev mdev,
            StateView state,
            @Nullable KernelView kernel,
            Metadata metadata) {
        return new MdevView(
                mdev.uuid(),
                mdev.parent().name(),
                mdev.type().id(),
                state,
                mdev.created(),
                status.holder().orElse(null),
                mdev.faultCount(),
                mdev.residentPages(),
                mdev.overdueCallback().orElse(null),
                mdev.regions().stream().map(region -> region(mdev, region)).toList(),
                mdev.share().stream().map(MdevView::share).toList(),
                attributes(status),
                kernel,
                metadata.displayName(),
                metadata.description(),
                metadata.labels());
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
