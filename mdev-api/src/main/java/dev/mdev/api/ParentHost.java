package dev.mdev.api;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/// The host's interface for a driver that looks for its devices. Valid only during
/// [ParentDriver#probe], except for the results of [#lookAgain] and [#reporterOf]: afterwards all
/// methods throw [MdevException] with ESHUTDOWN.
public interface ParentHost {
    /// Memory that serves as the aperture of a device that exists in software only. It starts as
    /// zeroes and lives until the [ParentDevice] is closed.
    ///
    /// @param name its name in messages
    /// @param npages its size, at least 1 page
    /// @throws MdevException ENOMEM if the host lacks the memory
    Aperture allocateAperture(String name, long npages);

    /// The memory of a physical device, as the aperture of its parent: pages of files, one part
    /// after the other. The host maps them for guests, and lives with a device that vanishes: the
    /// guest's access fails, and a copy by the driver is EIO.
    ///
    /// A copy of 1, 2 or 4 bytes at a multiple of its length is one access to the device, of
    /// exactly this width; longer ones are made of accesses of 4 bytes and less, in ascending
    /// order. The pages keep their content, and live until the [ParentDevice] is closed.
    ///
    /// @param name its name in messages
    /// @param parts in the order of the aperture, at least one; no page twice
    /// @throws MdevException EINVAL if a file is no regular file, or is too short; EOPNOTSUPP if
    ///   the host cannot map files; otherwise the error of opening or mapping a file
    Aperture mapAperture(String name, List<FilePages> parts);

    /// Tells the operator of a device that the driver leaves out, and why, while it goes on with
    /// its others.
    ///
    /// The operator sees the first 16 texts of a search, and the number of the others.
    ///
    /// @param text one line
    void report(String text);

    /// How to tell the operator, at any time until the parent is closed, of a trouble with it that
    /// concerns more than one of its mediated devices, or none.
    ///
    /// @param parent the parent's name
    /// @return always the same for one parent
    /// @throws MdevException EINVAL if that is no name of a parent, EUSERS if the driver reports on
    ///   more than 1024 parents
    Reporter reporterOf(String parent);

    /// The operator's setting for this driver, such as `vram-mib`, if there is one.
    Optional<String> setting(String key);

    /// Whether a parent of this name is on the bus already, or not asked for: a driver that looks
    /// again leaves it out.
    default boolean isPresent(String parent) {
        return false;
    }

    /// How to tell the host, at any time, that physical or mediated devices came or went without
    /// it. The host then asks this driver's parents for their devices, and the driver for new
    /// parents, on a thread of its own. Calling it does not block; any thread may.
    default Runnable lookAgain() {
        return () -> {};
    }

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
