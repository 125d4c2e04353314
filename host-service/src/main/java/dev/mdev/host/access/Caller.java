package dev.mdev.host.access;

import dev.mdev.host.problem.Problems;

import org.slf4j.MDC;
import org.springframework.security.core.Authentication;
import org.springframework.security.core.context.SecurityContextHolder;

import java.util.Optional;
import java.util.UUID;
import java.util.function.BooleanSupplier;

/// The sender of a request.
///
/// @param name a token's name, a certificate's common name, or the subject of an identity provider
/// @param means how the service knows the caller
public record Caller(String name, Means means, Role role, Reach reach) {
    /// How the service knows a caller.
    public enum Means {
        /// The permissions of the Unix socket.
        SOCKET,
        /// The address: there is no authentication.
        ADDRESS,
        /// A token of this service, in the request.
        TOKEN,
        /// A session in a browser, which began with a token.
        SESSION,
        /// A client certificate of TLS.
        CERTIFICATE,
        /// A token of an identity provider.
        JWT,
        /// The service itself, for its operator.
        SERVICE
    }

    private static final Caller SERVICE =
            new Caller("service", Means.SERVICE, Role.ADMIN, Reach.EVERYTHING);

    /// Works for the operator of the service, outside of any request, with an id as a request has
    /// one.
    public static void asService(Runnable work) {
        SecurityContextHolder.getContext()
                .setAuthentication(new CallerAuthentication(SERVICE, () -> true));
        MDC.put(Problems.REQUEST_ID, UUID.randomUUID().toString());
        try {
            work.run();
        } finally {
            MDC.remove(Problems.REQUEST_ID);
            SecurityContextHolder.clearContext();
        }
    }

    /// Each program that may open the socket.
    static final Caller SOCKET_USER =
            new Caller("socket", Means.SOCKET, Role.ADMIN, Reach.EVERYTHING);

    /// Each client of a service without authentication.
    static final Caller ANYONE = new Caller("anyone", Means.ADDRESS, Role.ADMIN, Reach.EVERYTHING);

    /// The sender of the request that this thread works on.
    ///
    /// @throws IllegalStateException if it works on none
    public static Caller current() {
        return known().orElseThrow(
                        () -> new IllegalStateException("this thread works on no request"));
    }

    /// Whether this caller sees what another has begun: all that the other sees.
    public boolean seesWorkOf(Caller other) {
        return reach.includes(other.reach);
    }

    /// Whether this caller may also end it.
    public boolean mayEndWorkOf(Caller other) {
        return seesWorkOf(other) && role.includes(other.role);
    }

    /// Whether the credentials of the request that this thread works on still count, for work that
    /// outlives it. Any thread may ask.
    public static BooleanSupplier validity() {
        return SecurityContextHolder.getContext().getAuthentication()
                        instanceof CallerAuthentication it
                ? it.isStillValid()
                : () -> false;
    }

    /// The same; nothing for a request without valid credentials.
    static Optional<Caller> known() {
        Authentication authentication = SecurityContextHolder.getContext().getAuthentication();
        return authentication instanceof CallerAuthentication it
                ? Optional.of(it.getPrincipal())
                : Optional.empty();
    }
}
