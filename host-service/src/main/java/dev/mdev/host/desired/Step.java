package dev.mdev.host.desired;

import java.util.Locale;

/// A difference between what is and what should be, and what ends it.
///
/// @param subject its thing: `mdevs/UUID` or `machines/NAME`
/// @param detail what is done, or what is in the way
record Step(Action action, String subject, String detail) {
    /// What ends a difference.
    enum Action {
        /// A definition is written.
        DEFINE,
        /// A definition gets other settings.
        CHANGE,
        /// A device or a machine is made.
        CREATE,
        /// A defined device is started.
        START,
        /// The name, the description or labels are set.
        LABEL,
        /// A device is attached to a machine.
        ATTACH,
        /// A device is detached from a machine.
        DETACH,
        /// What is not to be there is removed.
        REMOVE,
        /// Nothing: what is there stands against it, and stays.
        CONFLICT
    }

    /// In words, for people.
    String words() {
        return "%s %s %s"
                .formatted(action.name().toLowerCase(Locale.ROOT), subject, detail)
                .strip();
    }
}
