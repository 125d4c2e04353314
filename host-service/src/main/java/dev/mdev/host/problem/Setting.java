package dev.mdev.host.problem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// Checks an operator's setting.
public final class Setting {
    private Setting() {}

    /// @param inRange whether the value is allowed
    /// @param name the setting's
    /// @throws MdevException EINVAL if not
    public static void require(boolean inRange, String name, Object value) {
        if (!inRange) {
            throw new MdevException(Errno.EINVAL, "%s=%s is out of range".formatted(name, value));
        }
    }
}
