package dev.mdev.host.web;

import jakarta.servlet.http.HttpServletRequest;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Collections;
import java.util.Locale;
import java.util.Optional;

/// What a client says in `Prefer` (RFC 7240): `respond-async` if it does not wait for the end of
/// the work, and `wait=SECONDS` with it if it waits that long. All else is not for this service,
/// which ignores it, as the RFC says.
final class Preference {
    static final String HEADER = "Prefer";
    static final String APPLIED = "Preference-Applied";
    static final String ASYNC = "respond-async";

    private static final String WAIT = "wait";

    /// No client waits longer.
    private static final long LONGEST_SECONDS = 60;

    private Preference() {}

    /// How long the client waits; nothing if it waits for the end, however long that takes.
    static Optional<Duration> patienceOf(HttpServletRequest request) {
        boolean isAsync = false;
        Duration patience = Duration.ZERO;
        for (String line : Collections.list(request.getHeaders(HEADER))) {
            for (String part : line.split(",", -1)) {
                String[] words = part.split(";", 2)[0].split("=", 2);
                String name = words[0].strip().toLowerCase(Locale.ROOT);
                isAsync |= name.equals(ASYNC);
                if (name.equals(WAIT)) {
                    patience = seconds(words.length > 1 ? words[1] : null);
                }
            }
        }
        return isAsync ? Optional.of(patience) : Optional.empty();
    }

    private static Duration seconds(@Nullable String text) {
        String digits = text == null ? "" : text.strip();
        return digits.matches("[0-9]{1,9}")
                ? Duration.ofSeconds(Math.min(LONGEST_SECONDS, Long.parseLong(digits)))
                : Duration.ZERO;
    }
}
