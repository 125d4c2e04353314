package dev.mdev.cli.verb;

import dev.mdev.cli.client.Endpoint;
import dev.mdev.cli.client.Service;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.profile.Profiles;
import dev.mdev.cli.terminal.Terminal;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.JsonText;
import dev.mdev.cli.text.Printable;
import dev.mdev.cli.text.Table;
import dev.mdev.cli.text.Units;
import dev.mdev.cli.text.YamlText;

import org.jspecify.annotations.Nullable;

import tools.jackson.databind.JsonNode;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// What a verb needs: its options, the service, and the terminal.
public final class Session implements AutoCloseable {
    private static final Set<PosixFilePermission> OTHERS =
            Set.of(
                    PosixFilePermission.GROUP_READ,
                    PosixFilePermission.GROUP_WRITE,
                    PosixFilePermission.OTHERS_READ,
                    PosixFilePermission.OTHERS_WRITE);

    private static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(30);

    private final Options options;
    private final Map<String, String> environment;
    private final Terminal terminal;
    private @Nullable Profiles profiles;
    private @Nullable Service service;

    /// @param options filled when the arguments are parsed
    public Session(Options options, Map<String, String> environment, Terminal terminal) {
        this.options = options;
        this.environment = environment;
        this.terminal = terminal;
    }

    Terminal terminal() {
        return terminal;
    }

    /// The service, when a verb asks for it first.
    ///
    /// @throws Failure if the options, the environment or the profile name no service
    Service service() {
        if (service == null) {
            service = new Service(endpoint());
        }
        return service;
    }

    private Endpoint endpoint() {
        Endpoint place = place();
        Endpoint vouched =
                setting("ca-file").map(Path::of).map(place::withAuthorities).orElse(place);
        return token().map(vouched::withToken).orElse(vouched);
    }

    /// The token of the environment or of the profile's file.
    private Optional<String> token() {
        String given = environment.getOrDefault("MDEV_TOKEN", "");
        return given.isEmpty() ? setting("token-file").map(Session::read) : Optional.of(given);
    }

    /// A file that others can read keeps no secret.
    private static String read(String name) {
        Path file = Path.of(name);
        try {
            if (!Files.isRegularFile(file)) {
                throw Failure.usage("token-file=%s is no file".formatted(name));
            }
            boolean isOpen =
                    Files.getPosixFilePermissions(file).stream().anyMatch(OTHERS::contains);
            if (isOpen) {
                throw Failure.usage(
                        "token-file=%s can be read by others: chmod 600 %s".formatted(name, name));
            }
            return Files.readString(file, StandardCharsets.UTF_8).strip();
        } catch (IOException e) {
            throw Failure.usage("cannot read token-file=" + name);
        }
    }

    private Endpoint place() {
        Duration timeout =
                Optional.ofNullable(options.timeout)
                        .or(() -> setting("timeout"))
                        .map(text -> duration("timeout", text))
                        .orElse(DEFAULT_TIMEOUT);
        if (timeout.isZero()) {
            throw Failure.usage("timeout=0s wanted=at least 1ms");
        }
        if (options.url != null) {
            return Endpoint.of(options.url, "--url", timeout);
        }
        String fromEnvironment = environment.getOrDefault("MDEV_URL", "");
        if (options.profile == null && !fromEnvironment.isEmpty()) {
            return Endpoint.of(fromEnvironment, "MDEV_URL", timeout);
        }
        return Endpoint.of(setting("url").orElseGet(this::usual), "the profile file", timeout);
    }

    /// The Unix socket of this machine's service if this user may use it.
    private String usual() {
        Path socket = Path.of(environment.getOrDefault("MDEV_SOCKET", Endpoint.DEFAULT_SOCKET));
        return Files.isWritable(socket) ? Endpoint.urlOf(socket) : Endpoint.DEFAULT_URL;
    }

    private Optional<String> setting(String name) {
        if (profiles == null) {
            profiles = Profiles.of(environment);
        }
        return profiles.setting(
                options.profile != null
                        ? options.profile
                        : environment.getOrDefault("MDEV_PROFILE", ""),
                name);
    }

    /// Reads a duration.
    ///
    /// @throws Failure if it is none
    static Duration duration(String name, String text) {
        return Units.duration(text)
                .orElseThrow(() ->
                        Failure.usage(
                                "%s=%s wanted=a duration such as 500ms, 10s or 2m"
                                        .formatted(name, text)));
    }

    /// Reads all options: a wrong one must not come to light after a change.
    ///
    /// @throws Failure if one is wrong
    void check() {
        format();
        colours();
    }

    /// How answers are printed.
    Format format() {
        return Format.of(
                Optional.ofNullable(options.output).or(() -> setting("output")).orElse("table"));
    }

    /// Whether the output has colours.
    boolean colours() {
        return switch (options.color) {
            case "always" -> true;
            case "never" -> false;
            case "auto" ->
                    terminal.isTerminal()
                            && environment.getOrDefault("NO_COLOR", "").isEmpty()
                            && !"dumb".equals(environment.get("TERM"));
            default ->
                    throw Failure.usage(
                            "color=%s wanted=auto, always or never".formatted(options.color));
        };
    }

    /// Whether the output is a terminal on which text can be written over.
    boolean canRenew() {
        return terminal.isTerminal() && !"dumb".equals(environment.get("TERM"));
    }

    /// Shows how far a transfer is, if somebody looks at a terminal.
    Progress progress() {
        return new Progress(terminal, canRenew() && !options.quiet);
    }

    /// Prints a list.
    ///
    /// @param answer the whole answer, for JSON and YAML
    /// @param name a JSON pointer to an item's name
    void list(JsonNode answer, List<JsonNode> items, List<Column> columns, String name) {
        switch (format()) {
            case JSON, YAML -> raw(answer);
            case NAME -> items.forEach(item -> terminal.line(Fields.text(item, name)));
            case TABLE -> table(items, columns, false);
            case WIDE -> table(items, columns, true);
        }
    }

    private void table(List<JsonNode> items, List<Column> columns, boolean wide) {
        new Table(columns, wide, colours()).lines(items).forEach(terminal::safeLine);
    }

    /// Prints a table in a longer text.
    void table(List<JsonNode> items, List<Column> columns) {
        table(items, columns, format() == Format.WIDE);
    }

    /// Prints one thing.
    ///
    /// @param name its name
    /// @param text prints it for people
    void one(JsonNode answer, String name, Runnable text) {
        switch (format()) {
            case JSON, YAML -> raw(answer);
            case NAME -> terminal.line(name);
            case TABLE, WIDE -> text.run();
        }
    }

    /// Prints labels and values.
    void details(List<Detail> details) {
        int width = details.stream().mapToInt(detail -> detail.label().length()).max().orElse(0);
        for (Detail detail : details) {
            terminal.safeLine(
                    detail.label()
                            + " ".repeat(width - detail.label().length() + 2)
                            + Printable.of(detail.value()));
        }
    }

    /// A label, and what it stands for.
    record Detail(String label, String value) {}

    /// Confirms a change: with its answer for programs, with a line for people who did not ask for
    /// silence.
    void done(JsonNode answer, String confirmation) {
        switch (format()) {
            case JSON, YAML -> {
                if (!answer.isMissingNode()) {
                    raw(answer);
                }
            }
            case TABLE, WIDE -> say(confirmation);
            case NAME -> {}
        }
    }

    /// Prints a line for people.
    void say(String line) {
        if (!options.quiet) {
            terminal.line(line);
        }
    }

    /// Prints an answer as JSON or YAML.
    void raw(JsonNode answer) {
        String text = format() == Format.YAML ? YamlText.of(answer) : JsonText.pretty(answer);
        terminal.safeLine(text);
    }

    @Override
    public void close() {
        if (service != null) {
            service.close();
        }
    }
}
