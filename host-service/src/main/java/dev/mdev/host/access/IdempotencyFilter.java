package dev.mdev.host.access;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.core.annotation.Order;
import org.springframework.http.HttpHeaders;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;
import org.springframework.web.util.ContentCachingResponseWrapper;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;

/// Lets a client repeat a POST whose answer it lost: with the same `Idempotency-Key`, the work is
/// done once, and its answer is given again. All other calls that change something may be repeated
/// as they are.
///
/// Comes after the security filters, so that a repeated request is one more in the audit log, and
/// its caller is known.
@Component
@Order(0)
final class IdempotencyFilter extends OncePerRequestFilter {
    static final String HEADER = "Idempotency-Key";

    /// Tells that the work was done for an earlier request.
    static final String REPLAYED = "Idempotency-Replayed";

    private static final Pattern KEY = Pattern.compile("[!-~]{1,128}");
    private static final Set<String> HARMLESS = Set.of("GET", "HEAD", "OPTIONS");

    /// Their answers have secrets, which nothing keeps.
    private static final Set<String> SECRET = Set.of("/api/v1/session", "/api/v1/tokens");

    /// With these, the work may have been done, or goes on. With every other refusal, it was not
    /// done.
    private static final Set<Integer> UNCERTAIN = Set.of(500, 502, 504);

    private final HandlerExceptionResolver resolver;
    private final KeptAnswers answers = new KeptAnswers(System::nanoTime);

    IdempotencyFilter(@Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
        this.resolver = resolver;
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        List<String> keys = Collections.list(request.getHeaders(HEADER));
        Optional<Caller> caller = Caller.known();
        // A request without a caller is refused in any case.
        if (keys.isEmpty() || caller.isEmpty() || HARMLESS.contains(request.getMethod())) {
            chain.doFilter(request, response);
            return;
        }
        KeptAnswers.Key key;
        ReadRequest read;
        Optional<KeptAnswers.Answer> kept;
        try {
            key = new KeptAnswers.Key(caller.get(), keyOf(request, keys));
            read = new ReadRequest(request, request.getInputStream().readAllBytes());
            kept = answers.begin(key, fingerprint(read));
        } catch (ProblemException | IOException e) {
            if (resolver.resolveException(request, response, null, e) == null) {
                throw e;
            }
            return;
        }
        if (kept.isPresent()) {
            repeat(request, response, kept.get());
        } else {
            work(key, read, response, chain);
        }
    }

    private static String keyOf(HttpServletRequest request, List<String> keys) {
        if (!request.getMethod().equals("POST") || SECRET.contains(request.getRequestURI())) {
            throw new ProblemException(Problem.MALFORMED, "this call takes no " + HEADER);
        }
        if (keys.size() > 1 || !KEY.matcher(keys.getFirst()).matches()) {
            throw new ProblemException(
                    Problem.MALFORMED,
                    HEADER + " is one text of 1 to 128 visible ASCII characters");
        }
        return keys.getFirst();
    }

    private static String fingerprint(ReadRequest request) {
        return Secrets.hash(
                String.join(
                        "\n",
                        request.getRequestURI(),
                        String.valueOf(request.getQueryString()),
                        String.valueOf(request.getContentType()),
                        new String(request.body(), StandardCharsets.ISO_8859_1)));
    }

    private void work(
            KeptAnswers.Key key,
            ReadRequest request,
            HttpServletResponse response,
            FilterChain chain)
            throws ServletException, IOException {
        ContentCachingResponseWrapper copied = new ContentCachingResponseWrapper(response);
        // What escapes from the work leaves it unknown what has happened.
        KeptAnswers.Answer answer = new KeptAnswers.Answer(500, null, null, null);
        boolean isKept = true;
        try {
            chain.doFilter(request, copied);
            int status = copied.getStatus();
            isKept = status < 300 || UNCERTAIN.contains(status);
            byte[] body = copied.getContentAsByteArray();
            answer =
                    new KeptAnswers.Answer(
                            status,
                            copied.getContentType(),
                            copied.getHeader(HttpHeaders.LOCATION),
                            body.length > KeptAnswers.MAX_BODY ? null : ByteBuffer.wrap(body));
        } finally {
            answers.end(key, isKept ? answer : null);
            copied.copyBodyToResponse();
        }
    }

    private void repeat(
            HttpServletRequest request, HttpServletResponse response, KeptAnswers.Answer answer)
            throws IOException {
        response.setHeader(REPLAYED, "true");
        ByteBuffer body = answer.body();
        if (body == null) {
            resolver.resolveException(
                    request,
                    response,
                    null,
                    new ProblemException(
                            Problem.WRONG_STATE,
                            "the request with this Idempotency-Key has ended with status %d; its answer is not kept"
                                    .formatted(answer.status())));
            return;
        }
        response.setStatus(answer.status());
        if (answer.location() != null) {
            response.setHeader(HttpHeaders.LOCATION, answer.location());
        }
        if (answer.contentType() != null) {
            response.setContentType(answer.contentType());
        }
        response.setContentLength(body.remaining());
        var _ = Channels.newChannel(response.getOutputStream()).write(body.duplicate());
    }
}
