package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.UUID;
import java.util.regex.Pattern;

/// A defined device: it can be started, now or after a restart, whether its parent is present or
/// not.
///
/// @param uuid its identity, chosen by the caller; one definition per uuid, across all parents
/// @param parent its parent's name: letters, digits and `.:_-`, 1 to 64 characters
/// @param type its type's id: letters, digits and `._-`, 1 to 64 characters
/// @param autostart whether it starts as soon as its parent is present
public record MdevDefinition(UUID uuid, String parent, String type, boolean autostart) {
    private static final Pattern PARENT = Pattern.compile("[A-Za-z0-9.:_-]{1,64}");
    private static final Pattern TYPE = Pattern.compile("[A-Za-z0-9._-]{1,64}");

    /// @throws MdevException EINVAL if a name is invalid
    public MdevDefinition {
        if (!PARENT.matcher(parent).matches() || !TYPE.matcher(type).matches()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not names: mdev=%s parent=%s type=%s".formatted(uuid, parent, type));
        }
    }

    /// This definition with the given autostart.
    public MdevDefinition withAutostart(boolean yes) {
        return new MdevDefinition(uuid, parent, type, yes);
    }
}
