package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.nio.charset.MalformedInputException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/// The verbs about files of mdevctl: `FOLDER/PARENT/UUID`.
final class MdevctlVerbs {
    private static final int MAX_FILE_BYTES = 256 << 10;

    /// A request has at most this many characters of files, unless one file alone has more.
    private static final int MAX_REQUEST_CHARS = 256 << 10;

    private MdevctlVerbs() {}

    private static Failure unreadable(Path path, IOException e) {
        return new Failure(
                ExitCode.FAILED, "%s: %s".formatted(path, e), "see whether it can be read");
    }

    @Command(
            name = "import",
            description = {
                "Define the devices in files of mdevctl.",
                "A file that is refused does not affect the others."
            })
    static final class Import extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("FILE", "/path"),
                        Column.of("OUTCOME", "/outcome").in(Import::ofOutcome),
                        Column.of("REASON", "/reason"));

        @Parameters(
                paramLabel = "FOLDER",
                arity = "0..1",
                defaultValue = "/etc/mdevctl.d",
                description = "mdevctl's folder. Default: ${DEFAULT-VALUE}.")
        private Path folder = Path.of("/etc/mdevctl.d");

        Import(Session session) {
            super(session);
        }

        private static Colour ofOutcome(String outcome) {
            return outcome.equals("refused") ? Colour.BAD : Colour.GOOD;
        }

        @Override
        ExitCode run() {
            ObjectNode all = body();
            ArrayNode outcomes = all.putArray("files");
            boolean refused = false;
            ArrayNode batch = body().arrayNode();
            int chars = 0;
            for (Path file : files()) {
                ObjectNode one = body().put("path", nameOf(file));
                String text = textOf(file);
                if (chars > 0 && chars + text.length() > MAX_REQUEST_CHARS) {
                    send(batch, outcomes);
                    batch = body().arrayNode();
                    chars = 0;
                }
                batch.add(one.put("text", text));
                chars += text.length() + 1;
            }
            send(batch, outcomes);
            for (JsonNode outcome : outcomes) {
                refused |= Fields.text(outcome, "/outcome").equals("refused");
            }
            session().list(all, Fields.items(all, "/files"), COLUMNS, "/path");
            return refused ? ExitCode.CONFLICT : ExitCode.OK;
        }

        private void send(ArrayNode batch, ArrayNode outcomes) {
            if (!batch.isEmpty()) {
                ObjectNode asked = body();
                asked.set("files", batch);
                JsonNode answer = service().post(ApiPath.of("definitions", "import"), asked);
                Fields.items(answer, "/files").forEach(outcomes::add);
            }
        }

        /// Files of parents; mdevctl's folder for scripts has none.
        private List<Path> files() {
            List<Path> files = new ArrayList<>();
            try (Stream<Path> parents = Files.list(folder)) {
                for (Path parent : parents.filter(Files::isDirectory).sorted().toList()) {
                    if (parent.endsWith("scripts.d")) {
                        continue;
                    }
                    try (Stream<Path> definitions = Files.list(parent)) {
                        definitions.filter(Files::isRegularFile).sorted().forEach(files::add);
                    }
                }
            } catch (IOException e) {
                throw unreadable(folder, e);
            }
            return files;
        }

        private String nameOf(Path file) {
            return folder.relativize(file).toString();
        }

        /// What is no text is sent as such: the service names it.
        private static String textOf(Path file) {
            try {
                if (Files.size(file) > MAX_FILE_BYTES) {
                    return "larger than %d bytes".formatted(MAX_FILE_BYTES);
                }
                return Files.readString(file);
            } catch (MalformedInputException e) {
                return "not UTF-8";
            } catch (IOException e) {
                throw unreadable(file, e);
            }
        }
    }

    @Command(name = "export", description = "Write all definitions as files of mdevctl.")
    @SuppressWarnings("NullAway.Init")
    static final class Export extends Verb {
        @Parameters(
                paramLabel = "FOLDER",
                description = "A folder, such as /etc/mdevctl.d; it may be absent.")
        private Path folder;

        @Option(names = "--force", description = "Replace files that are there.")
        private boolean force;

        Export(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(ApiPath.of("definitions", "export"));
            List<JsonNode> files = Fields.items(answer, "/files");
            for (JsonNode file : files) {
                write(file.at("/path").asString(), file.at("/text").asString());
            }
            session().done(answer, "exported %d definitions to %s".formatted(files.size(), folder));
            return ExitCode.OK;
        }

        private void write(String name, String text) {
            String[] parts = name.split("/", -1);
            if (parts.length != 2
                    || !parts[0].matches("[A-Za-z0-9:_-][A-Za-z0-9.:_-]*")
                    || !parts[1].matches("[0-9a-f-]{36}")) {
                throw new Failure(
                        ExitCode.FAILED,
                        "the service names a file \"%s\"".formatted(name),
                        "see whether the URL is that of the service");
            }
            Path parent = folder.resolve(parts[0]);
            try {
                Files.createDirectories(parent);
            } catch (IOException e) {
                throw unreadable(parent, e);
            }
            try (WholeFile file = WholeFile.create(parent.resolve(parts[1]), force)) {
                file.bytes().write(text.getBytes(StandardCharsets.UTF_8));
                file.complete();
            } catch (IOException e) {
                throw unreadable(parent.resolve(parts[1]), e);
            }
        }
    }
}
