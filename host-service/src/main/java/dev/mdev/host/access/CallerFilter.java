package dev.mdev.host.access;

import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.security.core.context.SecurityContext;
import org.springframework.security.core.context.SecurityContextHolder;
import org.springframework.web.filter.OncePerRequestFilter;

import java.io.IOException;

/// Finds the caller of each request. A request whose credentials are not valid goes on without a
/// caller, to what is public; everything else answers with the reason.
final class CallerFilter extends OncePerRequestFilter {
    /// The attribute with the reason why a request has no caller.
    static final String REASON = CallerFilter.class.getName() + ".reason";

    private final Credentials credentials;

    CallerFilter(Credentials credentials) {
        this.credentials = credentials;
    }

    /// Each part of an asynchronous answer has a thread of its own.
    @Override
    protected boolean shouldNotFilterAsyncDispatch() {
        return false;
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        try {
            Caller caller = credentials.callerOf(request);
            SecurityContext context = SecurityContextHolder.createEmptyContext();
            context.setAuthentication(
                    new CallerAuthentication(caller, credentials.validity(caller, request)));
            SecurityContextHolder.setContext(context);
        } catch (ProblemException e) {
            request.setAttribute(REASON, e);
        }
        chain.doFilter(request, response);
    }
}
