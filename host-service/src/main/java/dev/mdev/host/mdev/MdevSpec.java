package dev.mdev.host.mdev;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.util.UUID;

/// What a device is to be.
///
/// @param uuid its identity; the service makes one up if there is none. Where the path names it as
///   well, both are the same
/// @param persist whether it is written down, too, so that it survives a restart; not if absent
/// @param autostart whether a device that is written down starts with its parent; not if absent
record MdevSpec(
        @Nullable UUID uuid,
        @NotBlank @Size(max = 64) String parent,
        @NotBlank @Size(max = 64) String type,
        @Nullable Boolean persist,
        @Nullable Boolean autostart) {
    boolean persists() {
        return persist != null && persist;
    }

    boolean autostarts() {
        return autostart != null && autostart;
    }
}
