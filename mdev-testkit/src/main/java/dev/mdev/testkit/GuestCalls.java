package dev.mdev.testkit;

import dev.mdev.api.GrantCheck;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/// The calls of a driver's device that a guest causes.
record GuestCalls(
        MdevDevice device,
        Callbacks callbacks,
        GuestMappings mappings,
        ElasticShares elastic,
        List<PfnRange> shared,
        Function<PfnRange, Optional<Caching>> cachingOf) {
    long trap(int region, long offsetBytes, int widthBytes, Access access, long value) {
        String what =
                "%s region=%d offset=0x%x width=%d"
                        .formatted(access, region, offsetBytes, widthBytes);
        return switch (access) {
            case READ -> callbacks.access(what, () -> device.read(region, offsetBytes, widthBytes));
            case WRITE -> {
                yield callbacks.access(
                        what,
                        () -> {
                            device.write(region, offsetBytes, widthBytes, value);
                            return 0L;
                        });
            }
        };
    }

    /// Sends a request to the driver, checks the answer, and maps the grant.
    ///
    /// @param share the device's fixed share, as it is now
    MapDecision ask(MapRequest request, List<PoolShare> share) {
        List<PoolShare> all = new ArrayList<>(share);
        all.addAll(elastic.minimums());
        return mappings.answer(
                request,
                new GrantCheck(all, shared, cachingOf),
                () ->
                        placed(
                                request,
                                callbacks.access(
                                        request.toString(),
                                        () -> device.validateMapRequest(request)),
                                share));
    }

    /// Pages of elastic shares have places only now; a driver that names such a place itself may
    /// name another device's by the time that it is mapped.
    private MapDecision placed(MapRequest request, MapDecision decision, List<PoolShare> share) {
        return switch (decision) {
            case MapDecision.FromPool grant -> elastic.mapIn(request, grant);
            case MapDecision.Grant grant -> {
                new GrantCheck(share, shared, cachingOf)
                        .violation(request, grant)
                        .ifPresent(rule -> {
                            throw elastic.violation(rule + ": " + request + " " + grant);
                        });
                yield grant;
            }
            case MapDecision.Trap trap -> trap;
            case MapDecision.Deny deny -> deny;
            case MapDecision.Again again -> again;
        };
    }
}
