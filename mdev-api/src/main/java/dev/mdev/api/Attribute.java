package dev.mdev.api;

import java.nio.charset.StandardCharsets;

/// A setting of one device, given at its creation: see [MdevContext#attributes].
///
/// @param name for example `resolution` or `intel_vgpu/weight`: letters, digits and `._/-`, 1 to
///   128 characters; each part between slashes begins with a letter, a digit or an underscore
/// @param value any text without control characters and unpaired surrogates, at most 1024
///   characters
public record Attribute(String name, String value) {
    private static final int MAX_NAME_CHARS = 128;
    private static final int MAX_VALUE_CHARS = 1024;

    /// @throws MdevException EINVAL if the name or the value is invalid
    public Attribute {
        if (name.length() > MAX_NAME_CHARS
                || !name.matches("[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not the name of an attribute: %.80s"
                            .formatted(name.replaceAll("\\p{Cntrl}", "?")));
        }
        if (value.length() > MAX_VALUE_CHARS
                || value.chars().anyMatch(Character::isISOControl)
                || !StandardCharsets.UTF_8.newEncoder().canEncode(value)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "attribute=%s has a control character, an unpaired surrogate, or more than %d characters"
                            .formatted(name, MAX_VALUE_CHARS));
        }
    }
}
