package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.client.Transfer;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Units;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.UUID;

/// The verbs that carry bytes between devices and files.
final class StateVerbs {
    static final String BYTES = "application/octet-stream";
    private static final String STREAM = "-";

    private StateVerbs() {}

    /// `state` and the verbs below it.
    static CommandLine state(Session session) {
        return new CommandLine(new State())
                .addSubcommand(new Save(session))
                .addSubcommand(new Restore(session));
    }

    @Command(name = "state", description = "Save the state of a device, or restore it.")
    private static final class State {}

    /// Writes what a path answers to a file, or to the standard output.
    static void fetch(Verb verb, ApiPath path, String type, String file, boolean replace) {
        if (file.equals(STREAM)) {
            if (verb.session().terminal().isTerminal()) {
                throw Failure.usage("these bytes are not for a terminal: wanted=FILE");
            }
            new Transfer(verb.service(), _ -> {})
                    .download(path, type, verb.session().terminal().bytes());
            return;
        }
        try (WholeFile whole = WholeFile.create(Path.of(file), replace)) {
            long size;
            try (Progress progress = verb.session().progress()) {
                size =
                        new Transfer(verb.service(), progress::show)
                                .download(path, type, whole.bytes());
            }
            whole.complete();
            verb.session().say("wrote %s, %s".formatted(file, Units.bytes(size)));
        }
    }

    /// Sends a file, or the standard input, to a path.
    static void send(Verb verb, ApiPath path, String file) {
        try (Progress progress = verb.session().progress()) {
            Transfer transfer = new Transfer(verb.service(), progress::show);
            if (file.equals(STREAM)) {
                transfer.upload(path, BYTES, verb.session().terminal().in(), -1);
                return;
            }
            Path local = Path.of(file);
            try (InputStream in = Files.newInputStream(local)) {
                transfer.upload(path, BYTES, in, Files.size(local));
            } catch (IOException e) {
                throw new Failure(ExitCode.FAILED, "cannot read file=%s".formatted(file));
            }
        }
    }

    @Command(
            name = "save",
            description = {
                "Save the state of a device: its registers and pages.",
                "The file appears when it is complete."
            })
    @SuppressWarnings("NullAway.Init")
    private static final class Save extends Verb {
        @Parameters(
                index = "0",
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Parameters(
                index = "1",
                paramLabel = "FILE",
                description = "A new file; - writes to the standard output.")
        private String file;

        @Option(
                names = {"-f", "--force"},
                description = "Replace an existing file.")
        private boolean replace;

        private Save(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            fetch(this, mdev(uuid, "state"), BYTES, file, replace);
            return ExitCode.OK;
        }
    }

    @Command(
            name = "restore",
            description = "Restore a state into a device with the same driver and type.")
    @SuppressWarnings("NullAway.Init")
    private static final class Restore extends Verb {
        @Parameters(
                index = "0",
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Parameters(
                index = "1",
                paramLabel = "FILE",
                description = "The state; - reads it from the standard input.")
        private String file;

        private Restore(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            send(this, mdev(uuid, "state"), file);
            session().say("restored %s".formatted(uuid));
            return ExitCode.OK;
        }
    }

    @Command(name = "picture", description = "Save what a display device shows, as a PNG.")
    @SuppressWarnings("NullAway.Init")
    static final class Picture extends Verb {
        @Parameters(
                index = "0",
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Parameters(
                index = "1",
                paramLabel = "FILE",
                description = "A file, which is replaced; - writes to the standard output.")
        private String file;

        Picture(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            fetch(this, mdev(uuid, "picture"), "image/png", file, true);
            return ExitCode.OK;
        }
    }
}
