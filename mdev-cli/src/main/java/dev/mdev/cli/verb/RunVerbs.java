package dev.mdev.cli.verb;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// The verbs about guest programs.
final class RunVerbs {
    private RunVerbs() {}

    @Command(
            name = "run",
            description = {
                "Run a guest program on a virtual processor.",
                "The exit code is 1 if it did not complete, or found an unexpected value."
            })
    @SuppressWarnings("NullAway.Init")
    static final class Run extends Verb {
        private static final int MAX_BYTES = 64 << 20;
        private static final Duration DEFAULT_DEADLINE = Duration.ofSeconds(10);
        private static final Duration LONGEST_DEADLINE = Duration.ofDays(1);
        private static final Duration AFTER_DEADLINE = Duration.ofSeconds(1);

        private static final List<Column> STEPS =
                List.of(
                        Column.of("STEP", "/op"),
                        Column.of("COMPLETED", "/completed").atRight(),
                        Column.of("MISMATCHES", "/mismatches")
                                .atRight()
                                .in(count ->
                                        count.equals("0") || count.equals(Fields.NONE)
                                                ? Colour.PLAIN
                                                : Colour.BAD),
                        Column.of("MMIO EXITS", "/mmioExits").atRight(),
                        Column.of("MICROS", "/micros").atRight(),
                        Column.of("NOTE", Run::note));
        private static final Column SPACE = Column.of("SPACE", Run::space);
        private static final List<Column> DEVICES =
                List.of(
                        Column.of("DEVICE", "/mdev"),
                        Column.of("FAULTS", "/faults").atRight(),
                        Column.of("RESIDENT PAGES", "/residentPages").atRight());

        @Parameters(index = "0", paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Parameters(
                index = "1",
                paramLabel = "FILE",
                description = "The program as JSON; - reads it from the standard input.")
        private String file;

        @Option(names = "--vcpu", paramLabel = "N", description = "Its number. Default: 0.")
        private int vcpu;

        Run(Session session) {
            super(session);
        }

        /// Of a machine with system management mode: the address space, and whether the processor
        /// was in that mode.
        private static String space(JsonNode step) {
            String space = Fields.text(step, "/addressSpace");
            return Fields.isTrue(step, "/inSmm") ? space + ", smm" : space;
        }

        private static String note(JsonNode step) {
            JsonNode fault = step.at("/fault");
            if (fault.isObject()) {
                return "%s of %s: %s, %s"
                        .formatted(
                                Fields.text(fault, "/access"),
                                Fields.text(fault, "/gpa"),
                                Fields.text(fault, "/errno"),
                                Fields.text(fault, "/reason"));
            }
            JsonNode mismatch = step.at("/firstMismatch");
            if (mismatch.isObject()) {
                return "at %s: expected %s, found %s"
                        .formatted(
                                Fields.text(mismatch, "/gpa"),
                                Fields.text(mismatch, "/expected"),
                                Fields.text(mismatch, "/actual"));
            }
            return step.at("/values").isArray() ? Fields.text(step, "/values") : Fields.NONE;
        }

        @Override
        ExitCode run() {
            JsonNode program = read();
            JsonNode answer = execute(program);
            session().one(answer, Fields.text(answer, "/end"), () -> print(answer));
            boolean asExpected =
                    Fields.text(answer, "/end").equals("completed")
                            && Fields.items(answer, "/steps").stream()
                                    .allMatch(step -> Fields.number(step, "/mismatches") == 0);
            return asExpected ? ExitCode.OK : ExitCode.FAILED;
        }

        private JsonNode read() {
            byte[] text;
            try (InputStream in =
                    file.equals("-")
                            ? session().terminal().in()
                            : Files.newInputStream(Path.of(file))) {
                text = in.readNBytes(MAX_BYTES);
            } catch (IOException e) {
                throw new Failure(ExitCode.FAILED, "cannot read file=%s".formatted(file));
            }
            try {
                return JsonMapper.shared().readTree(text);
            } catch (JacksonException e) {
                throw Failure.usage(
                        "file=%s is not JSON: line %d, column %d"
                                .formatted(
                                        file,
                                        e.getLocation() == null ? 0 : e.getLocation().getLineNr(),
                                        e.getLocation() == null
                                                ? 0
                                                : e.getLocation().getColumnNr()));
            }
        }

        /// A program that Ctrl-C ends here would go on in its guest until its deadline.
        private JsonNode execute(JsonNode program) {
            long millis = Fields.number(program, "/deadlineMillis");
            Duration deadline =
                    millis > 0 && millis < LONGEST_DEADLINE.toMillis()
                            ? Duration.ofMillis(millis)
                            : DEFAULT_DEADLINE;
            String processor = Integer.toString(vcpu);
            try (OnInterrupt _ =
                    OnInterrupt.run(() ->
                            service().post(machine(name, "vcpus", processor, "interrupt"), null))) {
                return service()
                        .call(
                                "POST",
                                machine(name, "vcpus", processor, "programs"),
                                program,
                                deadline.plus(AFTER_DEADLINE));
            }
        }

        private void print(JsonNode answer) {
            session().terminal().line("the program " + Fields.text(answer, "/end"));
            List<JsonNode> steps = Fields.items(answer, "/steps");
            session().table(steps, columns(steps));
            if (!Fields.items(answer, "/devices").isEmpty()) {
                session().terminal().line("");
                session().table(Fields.items(answer, "/devices"), DEVICES);
            }
        }

        private static List<Column> columns(List<JsonNode> steps) {
            if (steps.isEmpty() || steps.getFirst().at("/addressSpace").isMissingNode()) {
                return STEPS;
            }
            List<Column> columns = new ArrayList<>(STEPS);
            columns.add(1, SPACE);
            return columns;
        }
    }

    @Command(name = "cancel", description = "Stop the guest program of a virtual processor.")
    @SuppressWarnings("NullAway.Init")
    static final class Cancel extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Option(names = "--vcpu", paramLabel = "N", description = "Its number. Default: 0.")
        private int vcpu;

        Cancel(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            session()
                    .done(
                            service()
                                    .post(
                                            machine(
                                                    name,
                                                    "vcpus",
                                                    Integer.toString(vcpu),
                                                    "interrupt"),
                                            null),
                            "stopped the program of %s, vcpu %d, if there was one"
                                    .formatted(name, vcpu));
            return ExitCode.OK;
        }
    }
}
