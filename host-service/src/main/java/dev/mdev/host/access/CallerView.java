package dev.mdev.host.access;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;

/// Who the sender of a request is.
///
/// @param csrf of a session: what its requests that change something send
/// @param expires when the session ends
record CallerView(
        String name,
        Caller.Means means,
        Role role,
        @Nullable String tenant,
        List<String> parents,
        List<String> machines,
        @Nullable Csrf csrf,
        @Nullable Instant expires) {
    /// A header of requests that change something.
    record Csrf(String header, String token) {}

    static CallerView of(Caller caller, Sessions.@Nullable Session session) {
        return new CallerView(
                caller.name(),
                caller.means(),
                caller.role(),
                caller.reach().tenant(),
                caller.reach().parents().stream().sorted().toList(),
                caller.reach().machines().stream().sorted().toList(),
                session == null
                        ? null
                        : new Csrf(SecurityConfiguration.CSRF_HEADER, session.csrf()),
                session == null ? null : session.expires());
    }
}
