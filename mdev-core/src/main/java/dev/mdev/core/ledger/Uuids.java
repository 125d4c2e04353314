package dev.mdev.core.ledger;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.UUID;
import java.util.regex.Pattern;

/// Identities of devices as text, read as Linux `guid_parse` does: 36 characters, hexadecimal
/// digits of either case and dashes in their places. (Java's own reader also accepts `1-1-1-1-1`.)
public final class Uuids {
    private static final Pattern FORM =
            Pattern.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}");

    private Uuids() {}

    /// @throws MdevException EINVAL if it is malformed
    public static UUID parse(String text) {
        if (!FORM.matcher(text).matches()) {
            throw new MdevException(Errno.EINVAL, "not a uuid: " + text);
        }
        return UUID.fromString(text);
    }
}
