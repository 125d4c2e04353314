package dev.mdev.host.access;

import dev.mdev.api.MdevException;
import dev.mdev.host.problem.Problems;

import jakarta.servlet.AsyncEvent;
import jakarta.servlet.AsyncListener;
import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.io.IOException;
import java.time.Instant;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Records changes before and after their work, reads of the content of guests, and refusals. Of
/// requests without valid credentials, one per second is recorded, with the number of the others:
/// strangers must not push the rest out of the log.
final class AuditFilter extends OncePerRequestFilter {
    private static final Logger log = LoggerFactory.getLogger(AuditFilter.class);
    private static final Set<String> HARMLESS = Set.of("GET", "HEAD", "OPTIONS");
    private static final Pattern CONTENT =
            Pattern.compile("/api/v1/(mdevs|machines)/[^/]+/(state|picture)");
    private static final Pattern DRY_RUN = Pattern.compile("(?:^|&)(dryRun=[^&]*)");
    private static final Set<Integer> REFUSALS = Set.of(401, 403);
    private static final int MAX_PATH = 512;
    private static final int UNAUTHENTICATED = 401;

    private final AuditLog audit;
    private final HandlerExceptionResolver resolver;
    private final AtomicLong nextStranger = new AtomicLong(System.nanoTime());
    private final AtomicLong leftOut = new AtomicLong();

    AuditFilter(AuditLog audit, HandlerExceptionResolver resolver) {
        this.audit = audit;
        this.resolver = resolver;
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        Caller caller = Caller.known().orElse(null);
        boolean isRecorded =
                caller != null
                        && (!HARMLESS.contains(request.getMethod())
                                || CONTENT.matcher(request.getRequestURI()).matches());
        if (isRecorded) {
            try {
                add(request, caller, AuditRecord.Phase.ASKED, null, null);
            } catch (MdevException e) {
                resolver.resolveException(request, response, null, e);
                return;
            }
        }
        try {
            chain.doFilter(request, response);
        } finally {
            if (isRecorded && request.isAsyncStarted()) {
                request.getAsyncContext().addListener(new AtEnd(request, response, caller));
            } else if (isRecorded) {
                done(request, response, caller);
            } else if (REFUSALS.contains(response.getStatus())) {
                refused(request, response, caller);
            }
        }
    }

    private void done(
            HttpServletRequest request, HttpServletResponse response, @Nullable Caller caller) {
        tryToAdd(request, caller, AuditRecord.Phase.DONE, response, null);
    }

    private void refused(
            HttpServletRequest request, HttpServletResponse response, @Nullable Caller caller) {
        if (response.getStatus() != UNAUTHENTICATED) {
            tryToAdd(request, caller, AuditRecord.Phase.REFUSED, response, null);
            return;
        }
        long now = System.nanoTime();
        long next = nextStranger.get();
        if (now - next < 0
                || !nextStranger.compareAndSet(next, now + TimeUnit.SECONDS.toNanos(1))) {
            leftOut.incrementAndGet();
            return;
        }
        long others = leftOut.getAndSet(0);
        tryToAdd(request, caller, AuditRecord.Phase.REFUSED, response, others == 0 ? null : others);
    }

    /// The work is done, so a failure of the log can only be told.
    private void tryToAdd(
            HttpServletRequest request,
            @Nullable Caller caller,
            AuditRecord.Phase phase,
            HttpServletResponse response,
            @Nullable Long others) {
        try {
            add(request, caller, phase, response, others);
        } catch (MdevException e) {
            log.error("a record of the audit log is lost: {}", e.toString());
        }
    }

    private void add(
            HttpServletRequest request,
            @Nullable Caller caller,
            AuditRecord.Phase phase,
            @Nullable HttpServletResponse response,
            @Nullable Long others) {
        String path = request.getRequestURI() + dryRunOf(request);
        String id = String.valueOf(request.getAttribute(Problems.REQUEST_ID));
        audit.add(number ->
                new AuditRecord(
                        number,
                        Instant.now(),
                        phase,
                        caller == null ? null : caller.name(),
                        caller == null ? null : caller.means(),
                        caller == null ? null : caller.reach().tenant(),
                        request.getRemoteAddr(),
                        request.getMethod(),
                        path.length() > MAX_PATH ? path.substring(0, MAX_PATH) : path,
                        id,
                        response == null ? null : response.getStatus(),
                        response == null ? null : response.getHeader("Location"),
                        others));
    }

    /// A request that only asks must not look like one that changes something.
    private static String dryRunOf(HttpServletRequest request) {
        String query = request.getQueryString();
        Matcher asked = DRY_RUN.matcher(query == null ? "" : query);
        return asked.find() ? "?" + asked.group(1) : "";
    }

    /// Records the end of an answer that comes later.
    private final class AtEnd implements AsyncListener {
        private final HttpServletRequest request;
        private final HttpServletResponse response;
        private final @Nullable Caller caller;

        AtEnd(HttpServletRequest request, HttpServletResponse response, @Nullable Caller caller) {
            this.request = request;
            this.response = response;
            this.caller = caller;
        }

        @Override
        public void onComplete(AsyncEvent event) {
            done(request, response, caller);
        }

        @Override
        public void onTimeout(AsyncEvent event) {}

        @Override
        public void onError(AsyncEvent event) {}

        @Override
        public void onStartAsync(AsyncEvent event) {}
    }
}
