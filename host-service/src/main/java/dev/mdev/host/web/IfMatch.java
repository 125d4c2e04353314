package dev.mdev.host.web;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.http.HttpHeaders;
import org.springframework.stereotype.Component;
import org.springframework.web.servlet.HandlerInterceptor;
import org.springframework.web.servlet.HandlerMapping;
import org.springframework.web.servlet.config.annotation.InterceptorRegistry;
import org.springframework.web.servlet.config.annotation.WebMvcConfigurer;

import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.stream.Stream;

/// Refuses a change with `If-Match` (RFC 9110, section 13.1.1) of something that is not as the
/// client saw it. Changes with a condition run one at a time, so that of two with the same tag one
/// is refused.
@Component
final class IfMatch implements HandlerInterceptor, WebMvcConfigurer {
    /// After the rights and the parameters.
    private static final int ORDER = 2;

    private static final int STRIPES = 64;
    private static final String HELD = IfMatch.class.getName();

    private final ObjectProvider<TagSource> sources;
    private final Semaphore[] turns =
            Stream.generate(() -> new Semaphore(1)).limit(STRIPES).toArray(Semaphore[]::new);

    IfMatch(ObjectProvider<TagSource> sources) {
        this.sources = sources;
    }

    @Override
    public void addInterceptors(InterceptorRegistry registry) {
        registry.addInterceptor(this).order(ORDER);
    }

    @Override
    public boolean preHandle(
            HttpServletRequest request, HttpServletResponse response, Object handler) {
        String wanted = request.getHeader(HttpHeaders.IF_MATCH);
        if (wanted == null || request.getMethod().equals("GET")) {
            return true;
        }
        String pattern =
                String.valueOf(
                        request.getAttribute(HandlerMapping.BEST_MATCHING_PATTERN_ATTRIBUTE));
        TagSource source =
                sources.stream()
                        .filter(it ->
                                pattern.equals(it.pattern())
                                        || pattern.startsWith(it.pattern() + "/"))
                        .findFirst()
                        .orElseThrow(() ->
                                new ProblemException(
                                        Problem.MALFORMED, "this call takes no If-Match"));
        String name = variable(request, source.pattern());
        Semaphore turn = turns[Math.floorMod(name.hashCode(), STRIPES)];
        if (!turn.tryAcquire()) {
            throw new ProblemException(
                    Problem.UNAVAILABLE, "another change with a condition is running on it");
        }
        try {
            require(wanted, source.find(name).etag());
        } catch (RuntimeException e) {
            turn.release();
            throw e;
        }
        request.setAttribute(HELD, turn);
        return true;
    }

    private static void require(String wanted, String present) {
        boolean fits =
                Arrays.stream(wanted.split(",", -1))
                        .map(String::strip)
                        .anyMatch(it -> it.equals("*") || it.equals('"' + present + '"'));
        if (!fits) {
            throw new ProblemException(
                    Problem.CHANGED, "its ETag is \"%s\" now".formatted(present));
        }
    }

    private static String variable(HttpServletRequest request, String pattern) {
        String name = pattern.substring(pattern.lastIndexOf('{') + 1, pattern.length() - 1);
        return request.getAttribute(HandlerMapping.URI_TEMPLATE_VARIABLES_ATTRIBUTE)
                        instanceof Map<?, ?> variables
                ? String.valueOf(variables.get(name))
                : "";
    }

    /// Keeps the turn of a request for work that goes on after it.
    ///
    /// @return gives it back
    static Runnable keep(HttpServletRequest request) {
        if (request.getAttribute(HELD) instanceof Semaphore turn) {
            request.removeAttribute(HELD);
            return turn::release;
        }
        return () -> {};
    }

    @Override
    public void afterCompletion(
            HttpServletRequest request,
            HttpServletResponse response,
            Object handler,
            @Nullable Exception failure) {
        if (request.getAttribute(HELD) instanceof Semaphore turn) {
            request.removeAttribute(HELD);
            turn.release();
        }
    }
}
