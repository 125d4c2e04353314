package dev.mdev.host.mdev;

import dev.mdev.api.MapRequest;
import dev.mdev.api.page.Access;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.mapping.FaultRecord;

import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// A device's faults, as clients see them.
///
/// @param faults answered faults of guests, without pages mapped ahead
/// @param residentPages pages mapped now
/// @param outcomes the number of each outcome, including pages mapped ahead
/// @param recent the last ones, newest first
record FaultsView(
        UUID uuid,
        long faults,
        long residentPages,
        Map<FaultRecord.Outcome, Long> outcomes,
        List<Fault> recent) {

    /// One fault.
    ///
    /// @param page counted from the region's start
    /// @param reason why there was no mapping
    /// @param answer the driver's answer, or why the host refused it
    /// @param driverMicros the duration of the driver's callback
    record Fault(
            Instant time,
            int region,
            long page,
            Access access,
            MapRequest.Reason reason,
            FaultRecord.Outcome outcome,
            String answer,
            long driverMicros) {

        static Fault of(FaultRecord fault) {
            return new Fault(
                    fault.time(),
                    fault.request().region(),
                    fault.request().page(),
                    fault.request().access(),
                    fault.request().reason(),
                    fault.outcome(),
                    fault.answer(),
                    fault.driverNanos() / 1000);
        }
    }

    static FaultsView of(Mdev mdev, int limit) {
        return new FaultsView(
                mdev.uuid(),
                mdev.faultCount(),
                mdev.residentPages(),
                mdev.faultCounts(),
                mdev.recentFaults().stream().limit(limit).map(Fault::of).toList());
    }
}
