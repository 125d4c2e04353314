package dev.mdev.cli.client;

import dev.mdev.cli.failure.ExitCode;
import dev.mdev.cli.failure.Failure;
import dev.mdev.cli.text.Fields;

import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.net.http.HttpHeaders;
import java.net.http.HttpResponse;
import java.util.stream.Collectors;

/// Turns answers that are no success into failures.
final class Problems {
    private static final int LONGEST_EXCERPT = 60;

    private Problems() {}

    /// The failure that an answer with a status outside 200 to 299 means.
    static Failure of(HttpResponse<byte[]> response) {
        return of(response.statusCode(), response.headers(), response.body());
    }

    static Failure of(int status, HttpHeaders headers, byte[] body) {
        String type = headers.firstValue("Content-Type").orElse("no type");
        if (type.startsWith("application/problem+json")) {
            try {
                JsonNode problem = JsonMapper.shared().readTree(body);
                if (problem.isObject()) {
                    return of(status, problem);
                }
            } catch (JacksonException e) {
                return stranger("an error without readable content, status %d".formatted(status));
            }
        }
        return stranger("status %d with %s".formatted(status, type));
    }

    /// The failure if something else than a service of mediated devices answers.
    static Failure stranger(String answer) {
        String shown =
                answer.length() <= LONGEST_EXCERPT
                        ? answer
                        : answer.substring(0, LONGEST_EXCERPT) + "...";
        return new Failure(
                ExitCode.FAILED,
                "this is not the answer of a service of mediated devices: " + shown,
                "check the address: --url, MDEV_URL or the profile file");
    }

    private static Failure of(int status, JsonNode problem) {
        String code = Fields.text(problem, "/code");
        String detail =
                Fields.optional(problem, "/detail")
                        .or(() -> Fields.optional(problem, "/title"))
                        .orElse("no reason");
        String violations =
                Fields.items(problem, "/violations").stream()
                        .map(violation -> violation(violation, detail))
                        .filter(text -> !text.isEmpty())
                        .collect(Collectors.joining(", "));
        return new Failure(
                ExitCode.ofStatus(status),
                "%s: %s%s"
                        .formatted(
                                code,
                                detail,
                                violations.isEmpty() ? "" : " (%s)".formatted(violations)),
                remedy(code, Fields.text(problem, "/instance")));
    }

    /// The place and the reason, without what the detail already says.
    private static String violation(JsonNode violation, String detail) {
        String place = Fields.optional(violation, "/pointer").orElse("");
        String reason = Fields.optional(violation, "/detail").orElse("");
        return detail.contains(reason) ? place : (place + " " + reason).strip();
    }

    /// What an operator does about each code of the service.
    private static String remedy(String code, String instance) {
        return switch (code) {
            case "not-found" -> "see what there is: mdev list, mdev machines, mdev types";
            case "exists" -> "see what has the name: mdev list, mdev machines";
            case "busy" -> "wait and repeat it, detach the device, or give a time: --grace 10s";
            case "no-capacity" -> "see what is in the way: mdev explain PARENT TYPE";
            case "wrong-state" -> "see the state: mdev show UUID, mdev parents";
            case "unauthenticated" ->
                    "set MDEV_TOKEN, or token-file in the profile; see mdev tokens create --help";
            case "too-many-requests" -> "repeat it in a second";
            case "denied" -> "the service does not permit it";
            case "not-supported" -> "see what works here: mdev doctor";
            case "unavailable" -> "repeat it in a moment";
            case "no-memory" -> "delete machines, or raise mdev.max-memory of the service";
            case "timed-out" -> "see which callbacks are stuck: mdev doctor";
            case "driver-failed" -> "see the driver's answers: mdev faults UUID, mdev watch";
            case "store-full" -> "make room in the state directory, then repeat it";
            case "store-failed" -> "see the state directory: mdev doctor";
            case "internal" -> "look up %s in the service's log".formatted(instance);
            default -> "correct the request";
        };
    }
}
