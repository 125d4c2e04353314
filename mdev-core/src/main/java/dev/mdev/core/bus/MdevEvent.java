package dev.mdev.core.bus;

import dev.mdev.core.driver.CallReport;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.Verb;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/// Something that happened on the bus.
///
/// @param sequence 1 for the first event of a bus, and one more for each after it: a gap means that
///   events were dropped
/// @param time when
/// @param fact what
public record MdevEvent(long sequence, Instant time, Fact fact) {
    /// What happened.
    public sealed interface Fact {}

    /// A parent came.
    ///
    /// @param freePages pages of all its pools that are free
    public record ParentArrived(String parent, String driver, long freePages) implements Fact {}

    /// A parent was closed, and is gone.
    ///
    /// @param trouble what its driver said, if that failed
    public record ParentLeft(String parent, Optional<String> trouble) implements Fact {}

    /// A definition was written, or changed.
    public record Defined(MdevDefinition definition) implements Fact {}

    /// A definition was deleted.
    public record Undefined(UUID uuid) implements Fact {}

    /// A file that should be a definition is none.
    public record DefinitionQuarantined(String file, String reason) implements Fact {}

    /// A device is active.
    public record Started(UUID uuid, String parent, String type, Owner owner) implements Fact {}

    /// A device that is to start with its parent did not.
    public record StartFailed(UUID uuid, String parent, String reason) implements Fact {}

    /// A device is not active any more, and its pages are free.
    ///
    /// @param trouble what its driver said, if that failed
    public record Stopped(UUID uuid, String parent, Optional<String> trouble) implements Fact {}

    /// A device was given to a holder.
    public record Assigned(UUID uuid, String holder) implements Fact {}

    /// A holder let a device go.
    public record Unassigned(UUID uuid, String holder) implements Fact {}

    /// A holder was asked to let a device go.
    public record ReleaseRequested(UUID uuid, String holder, Duration grace) implements Fact {}

    /// A device was taken away from a holder that did not let it go.
    public record Revoked(UUID uuid, String holder) implements Fact {}

    /// A device cannot be used, nor be ended: its pages are held.
    public record Lost(UUID uuid, String parent, String reason, long heldPages) implements Fact {}

    /// A lost device is gone after all, and its pages are free.
    public record Recovered(UUID uuid, String parent) implements Fact {}

    /// A device of somebody else was found, and is left alone.
    public record ForeignFound(UUID uuid, String parent, String type) implements Fact {}

    /// A device of somebody else is not there any more.
    public record ForeignGone(UUID uuid, String parent) implements Fact {}

    /// A device's pages moved.
    public record Moved(UUID uuid, String pool, long npages) implements Fact {}

    /// Pages could not be scrubbed, and are not given out any more.
    ///
    /// @param firstPage the first of them, counted from the aperture's first
    public record PagesQuarantined(String parent, long firstPage, long npages, String reason)
            implements Fact {}

    /// A callback has been running for longer than its deadline.
    public record CallbackOverdue(CallReport call) implements Fact {}

    /// A verb that a crash interrupted was brought to an end.
    ///
    /// @param done whether what it wanted is so; else all is as it was before
    /// @param steps the steps that had been done
    public record Resolved(Verb verb, UUID uuid, boolean done, List<String> steps)
            implements Fact {}

    /// The journal lost records, or records could not be written. Nothing unsafe follows: pages are
    /// scrubbed again.
    public record JournalTrouble(String reason) implements Fact {}

    /// A device's state was saved.
    public record StateSaved(UUID uuid, long bytes) implements Fact {}

    /// A device's state was restored.
    public record StateRestored(UUID uuid, UUID from) implements Fact {}

    /// A device's state could not be restored; the device was reset.
    public record RestoreFailed(UUID uuid, String reason) implements Fact {}
}
