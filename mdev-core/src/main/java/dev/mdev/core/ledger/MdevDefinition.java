package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.UUID;
import java.util.regex.Pattern;

/// A device that is written down: it can be started, now or after a restart, whether or not its
/// parent is there.
///
/// @param uuid its identity, chosen by whoever defines it; one definition a uuid, over all parents
/// @param parent its parent's name: letters, digits and `.:_-`, 1 to 64 characters
/// @param type its type's id: letters, digits and `._-`, 1 to 64 characters
/// @param autostart whether it is started as soon as its parent is there
public record MdevDefinition(UUID uuid, String parent, String type, boolean autostart) {
    private static final Pattern PARENT = Pattern.compile("[A-Za-z0-9.:_-]{1,64}");
    private static final Pattern TYPE = Pattern.compile("[A-Za-z0-9._-]{1,64}");

    /// @throws MdevException EINVAL if a name is none
    public MdevDefinition {
        if (!PARENT.matcher(parent).matches() || !TYPE.matcher(type).matches()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not names: mdev=%s parent=%s type=%s".formatted(uuid, parent, type));
        }
    }

    /// The same, started as soon as its parent is there or not.
    public MdevDefinition withAutostart(boolean yes) {
        return new MdevDefinition(uuid, parent, type, yes);
    }
}
