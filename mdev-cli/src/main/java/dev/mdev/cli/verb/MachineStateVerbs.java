package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// The verbs that carry machines to files and back.
final class MachineStateVerbs {
    private MachineStateVerbs() {}

    @Command(
            name = "save",
            description = {
                "Save a machine with its memory and devices, while its guest runs.",
                "The file appears when it is complete. The machine continues."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Save extends Verb {
        @Parameters(index = "0", paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Parameters(
                index = "1",
                paramLabel = "FILE",
                description = "A new file; - writes to the standard output.")
        private String file;

        @Option(
                names = {"-f", "--force"},
                description = "Replace an existing file.")
        private boolean replace;

        Save(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            StateVerbs.fetch(this, machine(name, "state"), StateVerbs.BYTES, file, replace);
            return ExitCode.OK;
        }
    }

    @Command(
            name = "restore",
            description = {
                "Make a machine, and its devices, out of a saved state.",
                "The name, and the devices' UUIDs, must be free."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Restore extends Verb {
        @Parameters(index = "0", paramLabel = "MACHINE", description = "The new machine's name.")
        private String name;

        @Parameters(
                index = "1",
                paramLabel = "FILE",
                description = "The state; - reads it from the standard input.")
        private String file;

        @Option(names = "--new-uuids", description = "Give the devices new UUIDs.")
        private boolean newUuids;

        @Option(
                names = "--parent",
                paramLabel = "PARENT",
                description = "Where to make the devices. Default: any parent with their type.")
        private @Nullable String parent;

        Restore(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ApiPath path = machine(name, "state").with("newUuids", newUuids);
            StateVerbs.send(this, parent == null ? path : path.with("parent", parent), file);
            session().say("restored machine %s".formatted(name));
            return ExitCode.OK;
        }
    }
}
