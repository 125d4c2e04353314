package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;

/// The verbs about machines.
final class MachineVerbs {
    private static final List<Column> BARS =
            List.of(
                    Column.of("BAR", "/bar").atRight(),
                    Column.of("NAME", "/name"),
                    Column.of("GPA", "/gpa").atRight(),
                    Column.of("SIZE", bar -> Units.bytes(Fields.number(bar, "/sizeBytes")))
                            .atRight());

    private static final List<Column> SOCKETS =
            List.of(
                    Column.of("DEVICE", "/mdev"),
                    Column.of("PROCESS", "/connection/pid").atRight(),
                    Column.of("SINCE", "/connection/since"),
                    Column.of("RESIDENT", row -> Units.pages(Fields.number(row, "/residentPages")))
                            .atRight(),
                    Column.of("REFUSED", "/refused").atRight(),
                    Column.of("SOCKET", "/socket"),
                    Column.of("LAST FAILURE", "/lastFailure"),
                    Column.of("ERRORS", "/connection/errors").atRight().ifWide(),
                    Column.of("PROTOCOL", "/connection/version").ifWide(),
                    Column.of("DMA MAPS", "/connection/dma/maps").atRight().ifWide());

    private MachineVerbs() {}

    /// `machines` and the verbs below it.
    static CommandLine machines(Session session) {
        return new CommandLine(new ListMachines(session))
                .addSubcommand("list", new ListMachines(session))
                .addSubcommand(new ShowMachine(session))
                .addSubcommand(new CreateMachine(session))
                .addSubcommand(new DeleteMachine(session))
                .addSubcommand(new MachineStateVerbs.Save(session))
                .addSubcommand(new MachineStateVerbs.Restore(session));
    }

    @Command(name = "machines", description = "List the virtual machines.")
    private static final class ListMachines extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("MACHINE", "/name"),
                        Column.of("KIND", MachineVerbs::kind),
                        Column.of("RAM", item -> Units.bytes(Fields.number(item, "/ramBytes")))
                                .atRight(),
                        Column.of("VCPUS", item -> "" + Fields.items(item, "/vcpus").size())
                                .atRight(),
                        Column.of("BUSY", MachineVerbs::busy).atRight(),
                        Column.of("DEVICES", item -> "" + Fields.items(item, "/devices").size())
                                .atRight(),
                        Column.of("NAME", "/displayName").ifWide(),
                        Column.of("LABELS", ListVerbs::labels).ifWide());

        @Mixin private LabelVerbs.Selection selection = new LabelVerbs.Selection();

        private ListMachines(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().list(selection.addTo(ApiPath.of("machines")));
            session().list(answer, Fields.items(answer, "/items"), COLUMNS, "/name");
            return ExitCode.OK;
        }
    }

    /// What runs the guest.
    private static String kind(JsonNode machine) {
        return Fields.optional(machine, "/engine").orElse(Fields.text(machine, "/kind"));
    }

    private static String busy(JsonNode machine) {
        return ""
                + Fields.items(machine, "/vcpus").stream()
                        .filter(vcpu -> Fields.isTrue(vcpu, "/busy"))
                        .count();
    }

    @Command(name = "show", description = "Show a machine and where its devices are.")
    @SuppressWarnings("NullAway.Init")
    private static final class ShowMachine extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        private ShowMachine(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(machine(name));
            session().one(answer, name, () -> print(answer));
            return ExitCode.OK;
        }

        private void print(JsonNode answer) {
            List<Session.Detail> details = new ArrayList<>();
            details.add(new Session.Detail("machine", Fields.text(answer, "/name")));
            details.add(new Session.Detail("kind", kind(answer)));
            if (!isExternal(answer)) {
                details.add(
                        new Session.Detail("ram", Units.bytes(Fields.number(answer, "/ramBytes"))));
                Fields.optional(answer, "/smm")
                        .ifPresent(design -> details.add(new Session.Detail("smm", design)));
                details.add(new Session.Detail("ecam", Fields.text(answer, "/ecamGpa")));
                details.add(
                        new Session.Detail(
                                "vcpus",
                                "%d, busy: %s"
                                        .formatted(
                                                Fields.items(answer, "/vcpus").size(),
                                                busy(answer))));
            }
            session().details(details);
            if (isExternal(answer)) {
                session().terminal().line("");
                session().table(Fields.items(answer, "/devices"), SOCKETS);
                return;
            }
            for (JsonNode device : Fields.items(answer, "/devices")) {
                session().terminal().line("");
                printDevice(session(), device);
            }
        }
    }

    private static boolean isExternal(JsonNode machine) {
        return Fields.text(machine, "/kind").equals("external");
    }

    private static void printDevice(Session session, JsonNode device) {
        session.terminal()
                .line(
                        "device %s at %s, configuration space at %s"
                                .formatted(
                                        Fields.text(device, "/mdev"),
                                        Fields.text(device, "/address"),
                                        Fields.text(device, "/configGpa")));
        session.table(Fields.items(device, "/bars"), BARS);
    }

    @Command(name = "create", description = "Create a machine.")
    @SuppressWarnings("NullAway.Init")
    private static final class CreateMachine extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "Its name.")
        private String name;

        @Option(names = "--ram", paramLabel = "MIB", description = "RAM in MiB. Default: 0.")
        private @Nullable Integer ram;

        @Option(
                names = "--vcpus",
                paramLabel = "N",
                description = "Virtual processors. Default: 1.")
        private @Nullable Integer vcpus;

        @Option(
                names = "--smm",
                paramLabel = "DESIGN",
                description = {
                    "System management mode, with memory of its own: address-space,",
                    "or slot-flag, a former design. Default: off."
                })
        private @Nullable String smm;

        @Option(
                names = "--kind",
                paramLabel = "KIND",
                description = "external: another program runs the guest, such as QEMU.")
        private @Nullable String kind;

        @Option(
                names = "--uid",
                paramLabel = "N",
                description = "Of an external machine: the user of its sockets.")
        private @Nullable Integer uid;

        @Option(names = "--gid", paramLabel = "N", description = "The same for the group.")
        private @Nullable Integer gid;

        @Option(
                names = "--mode",
                paramLabel = "OCTAL",
                description = "Permissions of its sockets. Default: 0600.")
        private @Nullable String mode;

        @Mixin private DryRun dryRun = new DryRun();

        private CreateMachine(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            ObjectNode asked = body().put("name", name);
            asked.put("ramMib", ram);
            asked.put("vcpus", vcpus);
            asked.put("smm", smm);
            asked.put("kind", kind);
            asked.removeIf(JsonNode::isNull);
            ObjectNode socket = body().put("uid", uid).put("gid", gid).put("mode", mode);
            socket.removeIf(JsonNode::isNull);
            if (!socket.isEmpty()) {
                asked.set("socket", socket);
            }
            dryRun.done(
                    session(),
                    service().post(dryRun.on(ApiPath.of("machines")), asked),
                    "created machine %s".formatted(name));
            return ExitCode.OK;
        }
    }

    @Command(name = "delete", description = "Stop a machine; its devices stay.")
    @SuppressWarnings("NullAway.Init")
    private static final class DeleteMachine extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Mixin private DryRun dryRun = new DryRun();

        private DeleteMachine(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            dryRun.done(
                    session(),
                    service().delete(dryRun.on(machine(name))),
                    "deleted machine %s".formatted(name));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "qemu",
            description = "Print the QEMU command with the devices of an external machine.")
    @SuppressWarnings("NullAway.Init")
    static final class Qemu extends Verb {
        @Parameters(paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        Qemu(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            service().text(machine(name, "qemu")).lines().forEach(session().terminal()::line);
            return ExitCode.OK;
        }
    }

    @Command(name = "attach", description = "Attach a device to a machine.")
    @SuppressWarnings("NullAway.Init")
    static final class Attach extends Verb {
        @Parameters(index = "0", paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Parameters(
                index = "1",
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Mixin private DryRun dryRun = new DryRun();

        Attach(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer =
                    service().put(dryRun.on(machine(name, "devices", uuid.toString())), null);
            dryRun.done(
                    session(),
                    answer,
                    "attached %s to %s%s"
                            .formatted(
                                    uuid,
                                    name,
                                    Fields.optional(answer, "/address")
                                            .or(() -> Fields.optional(answer, "/socket"))
                                            .map(address -> " at " + address)
                                            .orElse("")));
            return ExitCode.OK;
        }
    }

    @Command(name = "detach", description = "Detach a device from a machine.")
    @SuppressWarnings("NullAway.Init")
    static final class Detach extends Verb {
        @Parameters(index = "0", paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Parameters(
                index = "1",
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        @Mixin private DryRun dryRun = new DryRun();

        Detach(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            dryRun.done(
                    session(),
                    service().delete(dryRun.on(machine(name, "devices", uuid.toString()))),
                    "detached %s from %s".formatted(uuid, name));
            return ExitCode.OK;
        }
    }

    @Command(
            name = "interrupts",
            description = "Show the interrupts of a device in a machine: masks and counts.")
    @SuppressWarnings("NullAway.Init")
    static final class ShowInterrupts extends Verb {
        private static final List<Column> VECTORS =
                List.of(
                        Column.of("VECTOR", "/vector").atRight(),
                        Column.of("COUNT", "/count").atRight(),
                        Column.of("MASKED", "/masked"),
                        Column.of("PENDING", "/pending")
                                .in(word -> word.equals("yes") ? Colour.WARNING : Colour.PLAIN),
                        Column.of("LAST GPA", "/gpa").atRight(),
                        Column.of("LAST DATA", "/data").atRight());

        @Parameters(index = "0", paramLabel = "MACHINE", description = "The machine's name.")
        private String name;

        @Parameters(
                index = "1",
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        ShowInterrupts(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            JsonNode answer =
                    service().get(machine(name, "devices", uuid.toString(), "interrupts"));
            session().one(answer, uuid.toString(), () -> print(answer));
            return ExitCode.OK;
        }

        private void print(JsonNode answer) {
            session()
                    .terminal()
                    .line(
                            "the guest uses: %s; line: %s interrupts, asserted: %s"
                                    .formatted(
                                            Fields.optional(answer, "/enabled").orElse("none"),
                                            Fields.text(answer, "/line/count"),
                                            Fields.text(answer, "/line/asserted")));
            if (!Fields.items(answer, "/vectors").isEmpty()) {
                session().table(Fields.items(answer, "/vectors"), VECTORS);
            }
        }
    }
}
