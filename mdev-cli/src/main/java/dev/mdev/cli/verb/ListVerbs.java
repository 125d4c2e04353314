package dev.mdev.cli.verb;

import dev.mdev.cli.client.ApiPath;
import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.text.Colour;
import dev.mdev.cli.text.Column;
import dev.mdev.cli.text.Fields;
import dev.mdev.cli.text.JsonText;
import dev.mdev.cli.text.Units;

import org.jspecify.annotations.Nullable;

import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ArrayNode;

import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/// The verbs that show devices.
final class ListVerbs {
    private ListVerbs() {}

    static Colour ofActivity(String activity) {
        return switch (activity) {
            case "active" -> Colour.GOOD;
            case "lost" -> Colour.BAD;
            case "inactive" -> Colour.FAINT;
            default -> Colour.WARNING;
        };
    }

    private static String start(JsonNode mdev) {
        if (!Fields.isTrue(mdev, "/state/defined")) {
            return Fields.NONE;
        }
        return Fields.isTrue(mdev, "/state/autostart") ? "auto" : "manual";
    }

    /// The labels of anything.
    static String labels(JsonNode item) {
        String labels =
                item.path("labels").properties().stream()
                        .map(it -> it.getKey() + "=" + it.getValue().asString())
                        .collect(Collectors.joining(","));
        return labels.isEmpty() ? Fields.NONE : labels;
    }

    private static String resident(JsonNode mdev) {
        return Units.pages(Fields.number(mdev, "/residentPages"));
    }

    @Command(name = "list", description = "List the devices and definitions.")
    static final class ListDevices extends Verb {
        private static final List<Column> COLUMNS =
                List.of(
                        Column.of("UUID", "/uuid"),
                        Column.of("PARENT", "/parent"),
                        Column.of("TYPE", "/type"),
                        Column.of("STATE", "/state/activity").in(ListVerbs::ofActivity),
                        Column.of("DEFINED", ListVerbs::start),
                        Column.of("MACHINE", "/machine"),
                        Column.of("FAULTS", "/faults").atRight(),
                        Column.of("RESIDENT", ListVerbs::resident).atRight(),
                        Column.of("OWNER", "/state/owner").ifWide(),
                        Column.of("CREATED", "/created").ifWide(),
                        Column.of("NAME", "/displayName").ifWide(),
                        Column.of("LABELS", ListVerbs::labels).ifWide(),
                        Column.of("TROUBLE", "/state/trouble").ifWide());

        @Option(
                names = {"-p", "--parent"},
                paramLabel = "PARENT",
                description = "Only devices of this parent.")
        private @Nullable String parent;

        @Option(
                names = {"-u", "--uuid"},
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "Only this device.")
        private @Nullable UUID uuid;

        @Option(
                names = {"-d", "--defined"},
                description = "Only definitions.")
        private boolean defined;

        @Option(
                names = "--dumpjson",
                description = {
                    "Print what mdevctl list --dumpjson prints:",
                    "the active devices, or with -d the definitions."
                })
        private boolean dump;

        @Mixin private LabelVerbs.Selection selection = new LabelVerbs.Selection();

        ListDevices(Session session) {
            super(session);
        }

        @Override
        ExitCode run() {
            if (dump) {
                dump();
                return ExitCode.OK;
            }
            List<JsonNode> found =
                    found("mdevs", it -> !defined || Fields.isTrue(it, "/state/defined"));
            ArrayNode items = body().arrayNode().addAll(found);
            session().list(body().set("items", items), found, COLUMNS, "/uuid");
            return ExitCode.OK;
        }

        private void dump() {
            List<JsonNode> found =
                    defined
                            ? found("definitions", _ -> true)
                            : found("mdevs", it -> Fields.isTrue(it, "/state/active"));
            JsonNode text =
                    uuid != null && found.size() == 1
                            ? MdevctlJson.definition(found.get(0))
                            : MdevctlJson.devices(found);
            session().terminal().safeLine(JsonText.pretty(text));
        }

        private List<JsonNode> found(String kind, Predicate<JsonNode> filter) {
            ApiPath path = selection.addTo(ApiPath.of(kind));
            JsonNode answer = service().list(parent == null ? path : path.with("parent", parent));
            return Fields.items(answer, "/items").stream()
                    .filter(filter)
                    .filter(it -> uuid == null || uuid.toString().equals(Fields.text(it, "/uuid")))
                    .toList();
        }
    }

    @Command(name = "show", description = "Show a device: its facts, regions and share.")
    @SuppressWarnings("NullAway.Init")
    static final class Show extends Verb {
        private static final List<Column> REGIONS =
                List.of(
                        Column.of("REGION", "/index").atRight(),
                        Column.of("NAME", "/name"),
                        Column.of(
                                        "SIZE",
                                        region -> Units.bytes(Fields.number(region, "/sizeBytes")))
                                .atRight(),
                        Column.of("RESIDENT", ListVerbs::resident).atRight(),
                        Column.of("AREAS", Show::areas));

        @Parameters(
                paramLabel = "UUID",
                converter = UuidConverter.class,
                description = "The device.")
        private UUID uuid;

        Show(Session session) {
            super(session);
        }

        private static String areas(JsonNode region) {
            return Fields.items(region, "/areas").stream()
                    .map(area ->
                            "%s %s"
                                    .formatted(
                                            Units.bytes(Fields.number(area, "/sizeBytes")),
                                            Fields.text(area, "/kind")))
                    .collect(Collectors.joining(", "));
        }

        @Override
        ExitCode run() {
            JsonNode answer = service().get(mdev(uuid));
            session().one(answer, uuid.toString(), () -> print(answer));
            return ExitCode.OK;
        }

        private void print(JsonNode answer) {
            List<Session.Detail> details = new ArrayList<>();
            details.add(new Session.Detail("uuid", Fields.text(answer, "/uuid")));
            details.add(new Session.Detail("parent", Fields.text(answer, "/parent")));
            details.add(new Session.Detail("type", Fields.text(answer, "/type")));
            details.add(new Session.Detail("state", Fields.text(answer, "/state/activity")));
            details.add(new Session.Detail("owner", Fields.text(answer, "/state/owner")));
            details.add(new Session.Detail("defined", start(answer)));
            details.add(new Session.Detail("machine", Fields.text(answer, "/machine")));
            Fields.optional(answer, "/displayName")
                    .ifPresent(text -> details.add(new Session.Detail("name", text)));
            Fields.optional(answer, "/description")
                    .ifPresent(text -> details.add(new Session.Detail("description", text)));
            if (!answer.path("labels").isEmpty()) {
                details.add(new Session.Detail("labels", labels(answer)));
            }
            details.add(new Session.Detail("created", Fields.text(answer, "/created")));
            details.add(new Session.Detail("faults", Fields.text(answer, "/faults")));
            details.add(new Session.Detail("resident", resident(answer)));
            for (JsonNode share : Fields.items(answer, "/share")) {
                details.add(
                        new Session.Detail(
                                "share",
                                "%s of %s, pieces: %s"
                                        .formatted(
                                                Units.pages(Fields.number(share, "/pages")),
                                                Fields.text(share, "/pool"),
                                                Fields.text(share, "/extents"))));
            }
            for (JsonNode attribute : Fields.items(answer, "/attributes")) {
                details.add(
                        new Session.Detail(
                                "attribute",
                                attribute.at("/name").asString()
                                        + "="
                                        + attribute.at("/value").asString()));
            }
            for (String fact : List.of("iommuGroup", "vfioPath", "sysfs", "qemu")) {
                Fields.optional(answer, "/kernel/" + fact)
                        .ifPresent(text -> details.add(new Session.Detail(fact, text)));
            }
            Fields.optional(answer, "/state/trouble")
                    .ifPresent(text -> details.add(new Session.Detail("trouble", text)));
            Fields.optional(answer, "/overdue")
                    .ifPresent(text -> details.add(new Session.Detail("overdue", text)));
            session().details(details);
            if (!Fields.items(answer, "/regions").isEmpty()) {
                session().terminal().line("");
                session().table(Fields.items(answer, "/regions"), REGIONS);
            }
        }
    }
}
