package dev.mdev.host.mdev;

import jakarta.validation.constraints.NotBlank;
import jakarta.validation.constraints.Size;

import org.jspecify.annotations.Nullable;

import java.util.UUID;

/// A request for a device.
///
/// @param uuid its identity; generated if absent. If the path also names it, both must be equal
/// @param persist whether to define it as well, so that it survives a restart; false if absent
/// @param autostart whether a defined device starts with its parent; false if absent
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
