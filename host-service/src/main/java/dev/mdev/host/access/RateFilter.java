package dev.mdev.host.access;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.io.IOException;

/// Limits the requests of each caller, and of each address without valid credentials, which may
/// send a quarter of them. Callers of the socket, and of a service without credentials, are not
/// limited.
final class RateFilter extends OncePerRequestFilter {
    private static final String API = "/api/";

    private final int perSecond;
    private final Rates callers;
    private final Rates strangers;
    private final HandlerExceptionResolver resolver;

    RateFilter(int perSecond, HandlerExceptionResolver resolver) {
        this.perSecond = perSecond;
        this.callers = new Rates(perSecond, System::nanoTime);
        this.strangers = new Rates(perSecond / 4.0, System::nanoTime);
        this.resolver = resolver;
    }

    /// Files and health are cheap, and pages ask for many at once.
    @Override
    protected boolean shouldNotFilter(HttpServletRequest request) {
        return !request.getRequestURI().startsWith(API);
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        if (isAdmitted(request)) {
            chain.doFilter(request, response);
            return;
        }
        resolver.resolveException(
                request,
                response,
                null,
                new ProblemException(
                        Problem.TOO_MANY_REQUESTS,
                        "more than %d requests per second; see mdev.access.requests-per-second"
                                .formatted(perSecond)));
    }

    private boolean isAdmitted(HttpServletRequest request) {
        return Caller.known()
                .map(caller ->
                        switch (caller.means()) {
                            case SOCKET, ADDRESS, SERVICE -> true;
                            case TOKEN, SESSION, CERTIFICATE, JWT ->
                                    callers.admit(
                                            "%s %s %s"
                                                    .formatted(
                                                            caller.means(),
                                                            caller.reach().tenant(),
                                                            caller.name()));
                        })
                .orElseGet(() -> strangers.admit(String.valueOf(request.getRemoteAddr())));
    }
}
