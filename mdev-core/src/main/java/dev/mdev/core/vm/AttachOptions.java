package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// How a device is attached to a machine.
///
/// @param firmware whether the host plays firmware; otherwise the guest finds the device with no
///   BAR decoded
/// @param pinLimitPages the maximum number of pages of guest memory that the device may pin, at
///   least 0
public record AttachOptions(boolean firmware, long pinLimitPages) {
    /// 1 GiB.
    public static final long DEFAULT_PIN_LIMIT_PAGES = 1 << 18;

    /// The host plays firmware.
    public static final AttachOptions DEFAULT = new AttachOptions(true, DEFAULT_PIN_LIMIT_PAGES);

    /// @throws MdevException EINVAL if a value is out of range
    public AttachOptions {
        if (pinLimitPages < 0 || pinLimitPages > Integer.MAX_VALUE) {
            throw new MdevException(Errno.EINVAL, "pinLimitPages=" + pinLimitPages);
        }
    }
}
