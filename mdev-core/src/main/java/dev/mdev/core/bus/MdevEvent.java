package dev.mdev.core.bus;

import dev.mdev.api.ReportLevel;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Verb;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// An event of the bus.
///
/// @param sequence 1 for the first event of a bus, and one more for each after it: a gap means that
///   events were dropped
/// @param time when
/// @param fact the fact
public record MdevEvent(long sequence, Instant time, Fact fact) {
    /// The facts.
    public sealed interface Fact {}

    /// A parent arrived.
    ///
    /// @param freePages free pages of all its pools
    public record ParentArrived(String parent, String driver, long freePages) implements Fact {}

    /// A parent was closed, and is gone.
    ///
    /// @param trouble its driver's error, if the close failed
    public record ParentLeft(String parent, Optional<String> trouble) implements Fact {}

    /// A driver failed to look again for what came or went without the host.
    public record LookFailed(String driver, String reason) implements Fact {}

    /// A definition was written, or changed.
    public record Defined(MdevDefinition definition) implements Fact {}

    /// A definition was deleted.
    public record Undefined(UUID uuid) implements Fact {}

    /// A definition file is damaged.
    public record DefinitionQuarantined(String file, String reason) implements Fact {}

    /// A device is active.
    public record Started(Mdev mdev, Owner owner) implements Fact {}

    /// A device with autostart failed to start.
    public record StartFailed(UUID uuid, String parent, String reason) implements Fact {}

    /// A device is no longer active, and its pages are free.
    ///
    /// @param trouble its driver's error, if the close failed
    public record Stopped(Mdev mdev, Optional<String> trouble) implements Fact {}

    /// A device was assigned to a holder.
    public record Assigned(UUID uuid, String holder) implements Fact {}

    /// A holder released a device.
    public record Unassigned(UUID uuid, String holder) implements Fact {}

    /// A holder was asked to release a device.
    public record ReleaseRequested(UUID uuid, String holder, Duration grace) implements Fact {}

    /// A device was taken away from a holder that did not release it.
    public record Revoked(UUID uuid, String holder) implements Fact {}

    /// A device is unusable and cannot end: its pages are held.
    public record Lost(UUID uuid, String parent, String reason, long heldPages) implements Fact {}

    /// A lost device is gone, and its pages are free.
    public record Recovered(UUID uuid, String parent) implements Fact {}

    /// A foreign device was found; it stays untouched.
    public record ForeignFound(UUID uuid, String parent, String type) implements Fact {}

    /// A foreign device no longer exists.
    public record ForeignGone(UUID uuid, String parent) implements Fact {}

    /// A device's pages moved.
    public record Moved(UUID uuid, String pool, long npages) implements Fact {}

    /// Pages could not be scrubbed, and stay unused.
    ///
    /// @param firstPage the first of them, counted from the aperture's first
    public record PagesQuarantined(String parent, long firstPage, long npages, String reason)
            implements Fact {}

    /// A driver tells of a trouble with a device.
    public record Reported(UUID uuid, ReportLevel level, String text) implements Fact {}

    /// A driver tells of a trouble with a parent.
    public record ParentReported(String parent, ReportLevel level, String text) implements Fact {}

    /// A callback exceeds its deadline.
    public record CallbackOverdue(CallReport call) implements Fact {}

    /// Recovery completed or undid a verb that a crash interrupted.
    ///
    /// @param done whether it reached its goal; otherwise the old state is restored
    /// @param steps the completed steps
    public record Resolved(Verb verb, UUID uuid, boolean done, List<String> steps)
            implements Fact {}

    /// The journal lost records, or records could not be written. The state stays safe: pages are
    /// scrubbed again.
    public record JournalTrouble(String reason) implements Fact {}

    /// A device's driver gives up none of the pages that others need.
    public record EvictionRefused(UUID uuid, String parent, String pool, String reason)
            implements Fact {}

    /// The backing store did not take or return content of a device.
    public record BackingStoreFailed(UUID uuid, String parent, String pool, String reason)
            implements Fact {}

    /// At least half of the pages that a pool wrote away in a second came back within a second: its
    /// devices use more pages than it has.
    ///
    /// @param returnedPages pages that came back
    /// @param evictedPages pages that were written away
    public record Thrashing(String parent, String pool, long returnedPages, long evictedPages)
            implements Fact {}

    /// A device's state was saved.
    public record StateSaved(UUID uuid, long bytes) implements Fact {}

    /// A device's state was restored.
    public record StateRestored(UUID uuid, UUID from) implements Fact {}

    /// A device's state could not be restored; the device was reset.
    public record RestoreFailed(UUID uuid, String reason) implements Fact {}
}
