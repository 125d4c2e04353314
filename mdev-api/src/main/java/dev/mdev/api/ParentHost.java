package dev.mdev.api;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// The host's interface for a driver that looks for its devices. Valid only during
/// [ParentDriver#probe].
public interface ParentHost {
    /// Memory that serves as the aperture of a device that exists in software only. It starts as
    /// zeroes and lives until the [ParentDevice] is closed.
    ///
    /// @param name its name in messages
    /// @param npages its size, at least 1 page
    /// @throws MdevException ENOMEM if the host lacks the memory
    Aperture allocateAperture(String name, long npages);

    /// The operator's setting for this driver, such as `vram-mib`, if there is one.
    Optional<String> setting(String key);

    /// A setting that is a number.
    ///
    /// @param preset the default value
    /// @throws MdevException EINVAL if it is set and is not a number from `least` to `most`; the
    ///   message says so
    default int number(String key, int preset, int least, int most) {
        return setting(key).map(text -> SettingText.number(key, text, least, most)).orElse(preset);
    }

    /// A setting that is a list of numbers, separated by commas, in any order.
    ///
    /// @param preset the default text
    /// @return the numbers in ascending order, each once; at least one
    /// @throws MdevException as [#number] does
    default List<Integer> numbers(String key, String preset, int least, int most) {
        return Arrays.stream(setting(key).orElse(preset).split(",", -1))
                .map(text -> SettingText.number(key, text, least, most))
                .sorted()
                .distinct()
                .toList();
    }

    /// A setting that is `true` or `false`; `false` by default.
    ///
    /// @throws MdevException EINVAL if it is neither
    default boolean flag(String key) {
        return setting(key).map(text -> SettingText.flag(key, text)).orElse(false);
    }
}
