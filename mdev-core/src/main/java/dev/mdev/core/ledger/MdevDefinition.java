package dev.mdev.core.ledger;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.List;
import java.util.UUID;
import java.util.regex.Pattern;

/// A defined device: it can be started, now or after a restart, whether its parent is present or
/// not.
///
/// @param uuid its identity, chosen by the caller; one definition per uuid, across all parents
/// @param parent its parent's name: letters, digits and `.:_-`, 1 to 64 characters
/// @param type its type's id: letters, digits and `._-`, 1 to 64 characters
/// @param autostart whether it starts as soon as its parent is present
/// @param attributes its settings, in the order in which its driver gets them; at most
///   [#MAX_ATTRIBUTES]; a name may occur more than once
public record MdevDefinition(
        UUID uuid, String parent, String type, boolean autostart, List<Attribute> attributes) {
    /// The maximum number of attributes.
    public static final int MAX_ATTRIBUTES = 64;

    private static final Pattern PARENT = Pattern.compile("[A-Za-z0-9.:_-]{1,64}");
    private static final Pattern TYPE = Pattern.compile("[A-Za-z0-9._-]{1,64}");

    /// @throws MdevException EINVAL if a name is invalid, or there are too many attributes
    public MdevDefinition {
        attributes = List.copyOf(attributes);
        if (!PARENT.matcher(parent).matches() || !TYPE.matcher(type).matches()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not names: mdev=%s parent=%s type=%s".formatted(uuid, parent, type));
        }
        requireFew(uuid, attributes);
    }

    /// A definition without attributes.
    public MdevDefinition(UUID uuid, String parent, String type, boolean autostart) {
        this(uuid, parent, type, autostart, List.of());
    }

    /// @throws MdevException EINVAL if a device may not have so many attributes
    public static void requireFew(UUID uuid, List<Attribute> attributes) {
        if (attributes.size() > MAX_ATTRIBUTES) {
            throw new MdevException(
                    Errno.EINVAL,
                    "mdev=%s attributes=%d max=%d"
                            .formatted(uuid, attributes.size(), MAX_ATTRIBUTES));
        }
    }

    /// This definition with the given autostart.
    public MdevDefinition withAutostart(boolean yes) {
        return new MdevDefinition(uuid, parent, type, yes, attributes);
    }
}
