package dev.mdev.core.bus;

import dev.mdev.core.ledger.Subject;
import dev.mdev.core.ledger.Unfinished;
import dev.mdev.core.store.StoreException;

/// Completes or undoes the verbs that a crash interrupted, when the bus opens and before any parent
/// arrives. The end of a device that should not exist needs its parent, and waits for it: such a
/// device is doomed.
///
/// Each step can be repeated: a crash during recovery is just another crash, and whatever cannot be
/// written now is left for the next time.
final class Recovery {
    /// The step of a verb after which the definition is deleted.
    static final String UNDEFINED = Unfinished.UNDEFINED;

    private final BusContext bus;

    Recovery(BusContext bus) {
        this.bus = bus;
    }

    void resolveAll() {
        bus.ledger()
                .opening()
                .damage()
                .ifPresent(damage ->
                        bus.observer()
                                .event(
                                        new MdevEvent.JournalTrouble(
                                                "records were lost, all pages are scrubbed again: "
                                                        + damage)));
        bus.ledger().opening().unfinished().forEach(this::resolveOrLeave);
        bus.definitions()
                .quarantined()
                .forEach(file ->
                        bus.observer()
                                .event(
                                        new MdevEvent.DefinitionQuarantined(
                                                file.file(), file.reason())));
    }

    /// A verb whose definition cannot be deleted now stays unfinished.
    private void resolveOrLeave(Unfinished verb) {
        try {
            resolve(verb);
        } catch (StoreException e) {
            bus.observer()
                    .event(
                            new MdevEvent.JournalTrouble(
                                    "not resolved yet: verb=%s mdev=%s %s"
                                            .formatted(verb.verb(), verb.subject().uuid(), e)));
        }
    }

    private void resolve(Unfinished verb) {
        Subject subject = verb.subject();
        boolean done =
                switch (verb.verb()) {
                    case CREATE, START -> {
                        doom(subject);
                        yield false;
                    }
                    case CREATE_DEFINED -> {
                        doom(subject);
                        undefine(verb);
                        yield false;
                    }
                    // The driver will say where the device is, and which pages it has.
                    case ADOPT, MOVE -> false;
                    case STOP -> {
                        doom(subject);
                        yield true;
                    }
                    case REMOVE -> {
                        doom(subject);
                        undefine(verb);
                        yield true;
                    }
                    case UNDEFINE -> {
                        undefine(verb);
                        yield true;
                    }
                    case DEFINE -> bus.definitions().find(subject.uuid()).isPresent();
                };
        bus.ledger().end(verb.op(), done);
        bus.observer()
                .event(new MdevEvent.Resolved(verb.verb(), subject.uuid(), done, verb.steps()));
    }

    /// Deletes the verb's definition, unless the verb already did: a later definition belongs to
    /// another verb.
    private void undefine(Unfinished verb) {
        if (!verb.steps().contains(UNDEFINED)) {
            bus.definitions().remove(verb.subject().uuid());
        }
    }

    private void doom(Subject subject) {
        bus.ledger().doom(subject.parent(), subject.uuid());
    }
}
