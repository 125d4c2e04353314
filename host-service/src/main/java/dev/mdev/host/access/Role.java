package dev.mdev.host.access;

import java.util.Locale;

/// What a caller may do. Each role includes those before it.
public enum Role {
    /// Reads, without the content of guests.
    VIEWER,
    /// Also creates, changes and ends devices and machines, and reads the content of guests.
    OPERATOR,
    /// Also changes the host itself: parents, tokens, other programs' devices.
    ADMIN;

    boolean includes(Role needed) {
        return compareTo(needed) >= 0;
    }

    /// The word of the API.
    public String word() {
        return name().toLowerCase(Locale.ROOT);
    }
}
