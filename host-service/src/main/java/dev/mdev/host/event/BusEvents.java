package dev.mdev.host.event;

import dev.mdev.api.ReportLevel;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.driver.CallReport;

import org.springframework.stereotype.Component;

import java.time.Duration;
import java.util.UUID;

/// Records events of the device bus.
@Component
final class BusEvents implements MdevObserver {
    private static final String APERTURE_OF = "aperture of ";

    private final EventLog events;

    BusEvents(EventLog events) {
        this.events = events;
    }

    @Override
    public void event(MdevEvent event) {
        switch (event.fact()) {
            case MdevEvent.ParentArrived it ->
                    parent(
                            Event.Kind.PARENT_ARRIVED,
                            it.parent(),
                            "driver=%s freePages=%d".formatted(it.driver(), it.freePages()));
            case MdevEvent.ParentLeft it ->
                    parent(Event.Kind.PARENT_LEFT, it.parent(), it.trouble().orElse(""));
            case MdevEvent.LookFailed it ->
                    events.add(Event.Kind.DRIVER_FAILED, "drivers/" + it.driver(), it.reason());
            case MdevEvent.Defined it ->
                    mdev(
                            Event.Kind.MDEV_DEFINED,
                            it.definition().uuid(),
                            it.definition().toString());
            case MdevEvent.Undefined it -> mdev(Event.Kind.MDEV_UNDEFINED, it.uuid(), "");
            case MdevEvent.DefinitionQuarantined it ->
                    events.add(
                            Event.Kind.DEFINITION_QUARANTINED,
                            "definitions/" + it.file(),
                            it.reason());
            case MdevEvent.StartFailed it ->
                    mdev(
                            Event.Kind.START_FAILED,
                            it.uuid(),
                            "parent=%s %s".formatted(it.parent(), it.reason()));
            case MdevEvent.Started it ->
                    mdev(Event.Kind.MDEV_CREATED, it.mdev().uuid(), it.mdev().toString());
            case MdevEvent.Stopped it -> stopped(it);
            case MdevEvent.ReleaseRequested it ->
                    mdev(
                            Event.Kind.RELEASE_REQUESTED,
                            it.uuid(),
                            "holder=%s graceMillis=%d"
                                    .formatted(it.holder(), it.grace().toMillis()));
            case MdevEvent.Revoked it ->
                    mdev(Event.Kind.MDEV_TAKEN, it.uuid(), "holder=" + it.holder());
            case MdevEvent.Lost it ->
                    mdev(
                            Event.Kind.MDEV_LOST,
                            it.uuid(),
                            "%s; heldPages=%d".formatted(it.reason(), it.heldPages()));
            case MdevEvent.Recovered it -> mdev(Event.Kind.MDEV_RECOVERED, it.uuid(), "");
            case MdevEvent.ForeignFound it ->
                    mdev(
                            Event.Kind.FOREIGN_FOUND,
                            it.uuid(),
                            "parent=%s type=%s".formatted(it.parent(), it.type()));
            case MdevEvent.ForeignGone it -> mdev(Event.Kind.FOREIGN_GONE, it.uuid(), "");
            case MdevEvent.Moved it ->
                    mdev(
                            Event.Kind.MDEV_MOVED,
                            it.uuid(),
                            "pool=%s pages=%d".formatted(it.pool(), it.npages()));
            case MdevEvent.PagesQuarantined it ->
                    parent(
                            Event.Kind.PAGES_QUARANTINED,
                            it.parent(),
                            "firstPage=%d pages=%d %s"
                                    .formatted(it.firstPage(), it.npages(), it.reason()));
            case MdevEvent.Reported it ->
                    mdev(Event.Kind.DRIVER_REPORT, it.uuid(), words(it.level(), it.text()));
            case MdevEvent.ParentReported it ->
                    parent(Event.Kind.DRIVER_REPORT, it.parent(), words(it.level(), it.text()));
            case MdevEvent.EvictionRefused it ->
                    mdev(
                            Event.Kind.EVICTION_REFUSED,
                            it.uuid(),
                            "pool=%s %s".formatted(it.pool(), it.reason()));
            case MdevEvent.BackingStoreFailed it ->
                    mdev(
                            Event.Kind.BACKING_STORE_FAILED,
                            it.uuid(),
                            "pool=%s %s".formatted(it.pool(), it.reason()));
            case MdevEvent.Thrashing it ->
                    parent(
                            Event.Kind.THRASHING,
                            it.parent(),
                            "pool=%s evictedPages=%d returnedPages=%d: stop a device, or move one"
                                    .formatted(it.pool(), it.evictedPages(), it.returnedPages()));
            case MdevEvent.CallbackOverdue it ->
                    events.add(Event.Kind.CALLBACK_OVERDUE, subjectOf(it.call()), words(it.call()));
            case MdevEvent.Resolved it ->
                    mdev(
                            Event.Kind.VERB_RESOLVED,
                            it.uuid(),
                            "verb=%s done=%b".formatted(it.verb(), it.done()));
            case MdevEvent.JournalTrouble it ->
                    events.add(Event.Kind.JOURNAL_TROUBLE, "journal", it.reason());
            case MdevEvent.StateSaved it ->
                    mdev(Event.Kind.STATE_SAVED, it.uuid(), "bytes=" + it.bytes());
            case MdevEvent.StateRestored it ->
                    mdev(Event.Kind.STATE_RESTORED, it.uuid(), "from=" + it.from());
            case MdevEvent.RestoreFailed it ->
                    mdev(Event.Kind.RESTORE_FAILED, it.uuid(), it.reason());
            // Of these, the one who attached or detached the device tells.
            case MdevEvent.Assigned _, MdevEvent.Unassigned _ -> {}
        }
    }

    private static String words(ReportLevel level, String text) {
        return switch (level) {
                    case WARNING -> "warning: ";
                    case ERROR -> "error: ";
                }
                + text;
    }

    private void stopped(MdevEvent.Stopped it) {
        UUID uuid = it.mdev().uuid();
        it.trouble().ifPresent(what -> mdev(Event.Kind.DRIVER_FAILED, uuid, what));
        mdev(Event.Kind.MDEV_REMOVED, uuid, it.mdev().toString());
    }

    private void mdev(Event.Kind kind, UUID uuid, String detail) {
        events.add(kind, "mdevs/" + uuid, detail);
    }

    private void parent(Event.Kind kind, String name, String detail) {
        events.add(kind, "parents/" + name, detail);
    }

    /// The subject of a callback: an owner such as `mdev=UUID` becomes `mdevs/UUID`. A parent's
    /// memory becomes the parent.
    static String subjectOf(CallReport call) {
        String owner = call.owner();
        String subject =
                owner.startsWith(APERTURE_OF) ? owner.substring(APERTURE_OF.length()) : owner;
        return subject.replaceFirst("=", "s/");
    }

    static String words(CallReport call) {
        return "callback=%s millis=%d thread=%s"
                .formatted(
                        call.callback(),
                        Duration.ofNanos(call.durationNanos()).toMillis(),
                        call.threadName());
    }
}
