package dev.mdev.core.vm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

/// How a device is put into a machine.
///
/// @param firmware whether the host plays firmware; if not, the guest finds the device with no BAR
///   decoded
/// @param pinLimitPages the most pages of guest memory the device may have pinned, at least 0
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
