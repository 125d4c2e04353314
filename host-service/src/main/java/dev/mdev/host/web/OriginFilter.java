package dev.mdev.host.web;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/// Refuses requests that a page of another server makes an operator's browser send. For each
/// request that may change something, a browser names its page's origin (Fetch standard, `Origin`
/// header); all other clients send none, and pass.
///
/// A page's own server is the request's `Host`. A page whose name was made to point here passes as
/// one of ours: a proxy that checks `Host` stops that.
@Component
@Order(Ordered.HIGHEST_PRECEDENCE + 2)
final class OriginFilter extends OncePerRequestFilter {
    private static final Set<String> HARMLESS = Set.of("GET", "HEAD", "OPTIONS");
    private static final Pattern ORIGIN =
            Pattern.compile("(https?)://([^/?#@\\s]+)", Pattern.CASE_INSENSITIVE);

    private final Set<Origin> allowed;
    private final HandlerExceptionResolver resolver;

    /// @throws IllegalArgumentException if an allowed origin is malformed
    OriginFilter(
            WebProperties properties,
            @Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
        this.allowed =
                properties.allowedOrigins().stream()
                        .map(text ->
                                Origin.parse(text)
                                        .orElseThrow(() ->
                                                new IllegalArgumentException(
                                                        "mdev.web.allowed-origins=%s wanted=http(s)://host[:port]"
                                                                .formatted(text))))
                        .collect(Collectors.toUnmodifiableSet());
        this.resolver = resolver;
    }

    /// @param server host and port; without the port if it is the scheme's default
    private record Origin(String scheme, String server) {
        static Optional<Origin> parse(String text) {
            Matcher parts = ORIGIN.matcher(text);
            return parts.matches()
                    ? Optional.of(of(parts.group(1), parts.group(2)))
                    : Optional.empty();
        }

        static Origin of(String anyScheme, String hostAndPort) {
            String scheme = anyScheme.toLowerCase(Locale.ROOT);
            String port = scheme.equals("https") ? ":443" : ":80";
            String server = hostAndPort.toLowerCase(Locale.ROOT);
            return new Origin(
                    scheme,
                    server.endsWith(port)
                            ? server.substring(0, server.length() - port.length())
                            : server);
        }
    }

    @Override
    protected boolean shouldNotFilter(HttpServletRequest request) {
        return HARMLESS.contains(request.getMethod());
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        List<String> origins = Collections.list(request.getHeaders("Origin"));
        String host = request.getHeader("Host");
        for (String origin : origins) {
            if (Origin.parse(origin).filter(it -> isWelcome(it, host)).isEmpty()) {
                resolver.resolveException(request, response, null, refusal(origin, host));
                return;
            }
        }
        chain.doFilter(request, response);
    }

    /// Behind a proxy that speaks TLS the scheme is the proxy's, so only the server counts.
    private boolean isWelcome(Origin origin, @Nullable String host) {
        return allowed.contains(origin)
                || (host != null && origin.equals(Origin.of(origin.scheme, host)));
    }

    private static ProblemException refusal(String origin, @Nullable String host) {
        return new ProblemException(
                Problem.DENIED,
                "a page of origin=%s must not change anything on host=%s; see mdev.web.allowed-origins"
                        .formatted(origin, host));
    }
}
