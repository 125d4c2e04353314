package dev.mdev.host.access;

import dev.mdev.core.store.JournalLine;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.Map;

/// What a caller asked for, or what came of it.
///
/// @param number counts up from 1
/// @param phase `asked` before the work, `done` after it, `refused` instead of it; of an operation,
///   `done` when it has begun, and `ended` at its end
/// @param caller the caller's name; absent without valid credentials
/// @param address the address of the client; absent on the Unix socket
/// @param request the id of the request, as in `X-Request-Id`
/// @param status the HTTP status of the answer; absent before it
/// @param made the path of what was made, if something was
/// @param leftOut refusals before this one that were not recorded, because there were too many
record AuditRecord(
        long number,
        Instant time,
        Phase phase,
        @Nullable String caller,
        Caller.@Nullable Means means,
        @Nullable String tenant,
        @Nullable String address,
        String method,
        String path,
        String request,
        @Nullable Integer status,
        @Nullable String made,
        @Nullable Long leftOut) {
    private static final String KIND = "audit";

    /// When a record is written.
    enum Phase {
        ASKED,
        DONE,
        REFUSED,
        ENDED
    }

    String encode() {
        JournalLine line =
                JournalLine.of(KIND)
                        .with("time", time)
                        .with("phase", JournalLine.wordOf(phase))
                        .with("method", method)
                        .with("path", path)
                        .with("request", request);
        line = with(line, "caller", caller);
        line = with(line, "means", means == null ? null : JournalLine.wordOf(means));
        line = with(line, "tenant", tenant);
        line = with(line, "address", address);
        line = with(line, "status", status);
        line = with(line, "made", made);
        return with(line, "left-out", leftOut).encode();
    }

    private static JournalLine with(JournalLine line, String name, @Nullable Object value) {
        return value == null ? line : line.with(name, value);
    }

    /// @throws dev.mdev.api.MdevException EINVAL if the line is none of [#encode]
    static AuditRecord decode(long number, String text) {
        JournalLine line = JournalLine.decode(text);
        Map<String, String> values = line.values();
        return new AuditRecord(
                number,
                Instant.parse(line.get("time")),
                line.constant("phase", Phase.class),
                values.get("caller"),
                values.containsKey("means") ? line.constant("means", Caller.Means.class) : null,
                values.get("tenant"),
                values.get("address"),
                line.get("method"),
                line.get("path"),
                line.get("request"),
                values.containsKey("status") ? (int) line.number("status") : null,
                values.get("made"),
                values.containsKey("left-out") ? line.number("left-out") : null);
    }
}
