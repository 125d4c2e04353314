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
import org.springframework.http.InvalidMediaTypeException;
import org.springframework.http.MediaType;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.io.IOException;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;

/// Refuses requests of a shape that no path of this service has, before a library reads them and
/// fails in a way of its own: a body that is no one format, or a form; a path with dots for a
/// segment, which libraries resolve in different ways.
@Component
@Order(Ordered.HIGHEST_PRECEDENCE + 3)
final class RequestShapeFilter extends OncePerRequestFilter {
    private final HandlerExceptionResolver resolver;

    RequestShapeFilter(@Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
        this.resolver = resolver;
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        Optional<ProblemException> refusal =
                hasDots(request.getRequestURI())
                        ? Optional.of(
                                new ProblemException(
                                        Problem.MALFORMED, "the path has a segment of dots"))
                        : refusalOf(request.getContentType());
        if (refusal.isPresent()) {
            resolver.resolveException(request, response, null, refusal.get());
            return;
        }
        chain.doFilter(request, response);
    }

    private static boolean hasDots(String path) {
        return Arrays.stream(path.split("/", -1))
                .map(segment -> segment.toLowerCase(Locale.ROOT).replace("%2e", "."))
                .anyMatch(segment -> segment.equals(".") || segment.equals(".."));
    }

    private static Optional<ProblemException> refusalOf(@Nullable String contentType) {
        if (contentType == null) {
            return Optional.empty();
        }
        try {
            MediaType type = MediaType.parseMediaType(contentType);
            boolean isForm =
                    type.isCompatibleWith(MediaType.APPLICATION_FORM_URLENCODED)
                            || type.getType().equals("multipart");
            return type.isConcrete() && !isForm
                    ? Optional.empty()
                    : refusal("a body of Content-Type=" + type + " is not accepted");
        } catch (InvalidMediaTypeException _) {
            return refusal("Content-Type cannot be parsed");
        }
    }

    private static Optional<ProblemException> refusal(String detail) {
        return Optional.of(new ProblemException(Problem.UNSUPPORTED_MEDIA_TYPE, detail));
    }
}
