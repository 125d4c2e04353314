package dev.mdev.gpu;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentHost;

import java.util.Arrays;
import java.util.List;

/// What the operator may set for this driver.
///
/// | setting | meaning | range | default |
/// |---|---|---|---|
/// | `count` | GPUs to make | 0 to 16 | 1 |
/// | `vram-mib` | VRAM of each GPU in MiB | 16 to 65536 | 256 |
/// | `types-mib` | VRAM of each type in MiB, separated by commas | 1 to 1024 each | 16,32,64,128 |
/// | `grant-pages` | the most pages that one fault maps | 1 to 262144 | 1 |
/// | `permute` | scatter the guest's pages over its share, for tests | true, false | false |
///
/// One page a fault is the slowest and the plainest: every first touch is seen.
record GpuSettings(
        int count, int vramMib, List<Integer> typesMib, int grantPages, boolean permute) {

    static GpuSettings from(ParentHost host) {
        return new GpuSettings(
                number(host, "count", 1, 0, 16),
                number(host, "vram-mib", 256, 16, 65536),
                numbers(host, "types-mib", "16,32,64,128", 1, 1024),
                number(host, "grant-pages", 1, 1, 262_144),
                flag(host, "permute"));
    }

    private static int number(ParentHost host, String key, int preset, int least, int most) {
        return host.setting(key).map(text -> parse(key, text, least, most)).orElse(preset);
    }

    private static List<Integer> numbers(
            ParentHost host, String key, String preset, int least, int most) {
        return Arrays.stream(host.setting(key).orElse(preset).split(",", -1))
                .map(text -> parse(key, text, least, most))
                .sorted()
                .distinct()
                .toList();
    }

    private static boolean flag(ParentHost host, String key) {
        String text = host.setting(key).orElse("false").strip();
        return switch (text) {
            case "true" -> true;
            case "false" -> false;
            default -> throw bad(key, text, "true or false");
        };
    }

    private static int parse(String key, String text, int least, int most) {
        try {
            int value = Integer.parseInt(text.strip());
            if (value >= least && value <= most) {
                return value;
            }
        } catch (NumberFormatException e) {
            // Falls through: the same message serves a text that is no number.
        }
        throw bad(key, text, least + " to " + most);
    }

    private static MdevException bad(String key, String text, String wanted) {
        return new MdevException(
                Errno.EINVAL, "setting=%s value=\"%s\" wanted=%s".formatted(key, text, wanted));
    }
}
