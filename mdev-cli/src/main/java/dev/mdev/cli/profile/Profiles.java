package dev.mdev.cli.profile;

import dev.mdev.cli.failure.Failure;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// The profile file, such as `~/.config/mdev/config`: settings by profile.
///
///     url = http://127.0.0.1:8080
///
///     [lab]
///     url = http://lab:8080
///     timeout = 2m
///     token-file = /home/me/.config/mdev/lab.token
///     ca-file = /home/me/.config/mdev/lab.pem
///     output = wide
///
/// Settings before the first section apply to all profiles, unless a profile has its own. A line
/// that begins with `#` is a comment.
public final class Profiles {
    private static final Set<String> SETTINGS =
            Set.of("url", "timeout", "output", "token-file", "ca-file");
    private static final int MAX_BYTES = 65536;

    private final Map<String, Map<String, String>> sections = new HashMap<>();

    private Profiles() {
        sections.put("", new HashMap<>());
    }

    /// The settings of the environment's file; none if there is no such file.
    ///
    /// @throws Failure if the file cannot be read, or has a line that this program does not
    ///   understand
    public static Profiles of(Map<String, String> environment) {
        Optional<Path> file = fileOf(environment);
        if (file.isEmpty() || !Files.exists(file.get())) {
            return new Profiles();
        }
        return read(file.get());
    }

    /// `$XDG_CONFIG_HOME/mdev/config`, or `~/.config/mdev/config`.
    private static Optional<Path> fileOf(Map<String, String> environment) {
        String folder = environment.getOrDefault("XDG_CONFIG_HOME", "");
        String home = environment.getOrDefault("HOME", "");
        if (folder.startsWith("/")) {
            return Optional.of(Path.of(folder, "mdev", "config"));
        }
        return home.isEmpty()
                ? Optional.empty()
                : Optional.of(Path.of(home, ".config", "mdev", "config"));
    }

    private static Profiles read(Path file) {
        byte[] bytes;
        try (InputStream in = Files.newInputStream(file)) {
            bytes = in.readNBytes(MAX_BYTES + 1);
        } catch (IOException e) {
            throw Failure.usage("cannot read the profile file=" + file);
        }
        if (bytes.length > MAX_BYTES) {
            throw Failure.usage(
                    "the profile file=%s has more than %d bytes".formatted(file, MAX_BYTES));
        }
        Profiles profiles = new Profiles();
        String section = "";
        List<String> lines = new String(bytes, StandardCharsets.UTF_8).lines().toList();
        for (int i = 0; i < lines.size(); i++) {
            String line = lines.get(i).strip();
            if (line.startsWith("[") && line.endsWith("]")) {
                section = line.substring(1, line.length() - 1).strip();
                profiles.sections.computeIfAbsent(section, _ -> new HashMap<>());
            } else if (!line.isEmpty() && !line.startsWith("#")) {
                profiles.add(section, line, "file=%s line=%d".formatted(file, i + 1));
            }
        }
        return profiles;
    }

    private void add(String section, String line, String where) {
        int equals = line.indexOf('=');
        String name = equals < 0 ? line : line.substring(0, equals).strip();
        if (equals < 0 || !SETTINGS.contains(name)) {
            throw Failure.usage(
                    "%s setting=%s wanted=url, timeout, output, token-file or ca-file"
                            .formatted(where, name));
        }
        sections.computeIfAbsent(section, _ -> new HashMap<>())
                .put(name, line.substring(equals + 1).strip());
    }

    /// A setting.
    ///
    /// @param profile the profile's name; empty for the settings of all profiles
    /// @throws Failure if there is no such profile
    public Optional<String> setting(String profile, String name) {
        Map<String, String> section = sections.get(profile);
        if (section == null) {
            throw Failure.usage("there is no profile=%s in the profile file".formatted(profile));
        }
        String common = sections.getOrDefault("", Map.of()).get(name);
        return Optional.ofNullable(section.getOrDefault(name, common));
    }
}
