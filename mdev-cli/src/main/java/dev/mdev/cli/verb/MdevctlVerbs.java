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
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// The verbs about files of mdevctl: `FOLDER/PARENT/UUID`.
final class MdevctlVerbs {
    /// The service takes 4096 files in a request.
    private static final int MAX_REQUEST_FILES = 1000;

    /// The service takes a body of 1 MB.
    private static final int MAX_REQUEST_BYTES = 768 << 10;

    private static final String REFUSED = "refused";

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

        /// What became of each file, in their order.
        private final List<JsonNode> outcomes = new ArrayList<>();

        private ArrayNode batch = body().arrayNode();
        private List<Integer> places = new ArrayList<>();
        private int batchBytes;

        Import(Session session) {
            super(session);
        }

        private static Colour ofOutcome(String outcome) {
            return outcome.equals(REFUSED) ? Colour.BAD : Colour.GOOD;
        }

        @Override
        ExitCode run() {
            new MdevctlFolder(folder).read(this::take);
            send();
            ObjectNode all = body();
            all.putArray("files").addAll(outcomes);
            session().list(all, outcomes, COLUMNS, "/path");
            boolean refused =
                    outcomes.stream().anyMatch(it -> Fields.text(it, "/outcome").equals(REFUSED));
            return refused ? ExitCode.CONFLICT : ExitCode.OK;
        }

        /// What cannot be sent is named like what the service refuses.
        private void take(MdevctlFolder.Entry entry) {
            switch (entry) {
                case MdevctlFolder.Unfit(String path, String reason) ->
                        outcomes.add(refused(path, reason));
                case MdevctlFolder.Definition(String path, String text) -> take(path, text);
            }
        }

        private void take(String path, String text) {
            ObjectNode file = body().put("path", path).put("text", text);
            int bytes = file.toString().getBytes(StandardCharsets.UTF_8).length + 1;
            if (bytes > MAX_REQUEST_BYTES) {
                outcomes.add(refused(path, "not JSON: too many control characters"));
                return;
            }
            if (batch.size() == MAX_REQUEST_FILES || batchBytes + bytes > MAX_REQUEST_BYTES) {
                send();
            }
            batch.add(file);
            batchBytes += bytes;
            places.add(outcomes.size());
            outcomes.add(refused(path, "the service does not answer for it"));
        }

        private static ObjectNode refused(String path, String reason) {
            return body().put("path", path).put("outcome", REFUSED).put("reason", reason);
        }

        private void send() {
            if (batch.isEmpty()) {
                return;
            }
            ObjectNode asked = body();
            asked.set("files", batch);
            JsonNode answer = service().post(ApiPath.of("definitions", "import"), asked);
            List<JsonNode> told = Fields.items(answer, "/files");
            for (int i = 0; i < Math.min(told.size(), places.size()); i++) {
                outcomes.set(places.get(i), told.get(i));
            }
            batch = body().arrayNode();
            places = new ArrayList<>();
            batchBytes = 0;
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
