package dev.mdev.host.web;

import dev.mdev.host.problem.ContentTooLargeException;
import dev.mdev.host.problem.RequestTimeoutException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.regex.Pattern;

/// Refuses bodies that are too large: at once if the length is announced, otherwise as soon as too
/// much was read. Refuses bodies, other than a state, that stop or come too slowly.
@Component
@Order(Ordered.HIGHEST_PRECEDENCE + 1)
final class BodyLimitFilter extends OncePerRequestFilter {
    private static final Pattern STATE = Pattern.compile("/api/v1/(mdevs|machines)/[^/]+/state");

    /// The longest time of a body, other than a state: see [TransferLimit].
    private static final Duration BODY_TIME = Duration.ofSeconds(30);

    private final WebProperties properties;
    private final HandlerExceptionResolver resolver;

    BodyLimitFilter(
            WebProperties properties,
            @Qualifier("handlerExceptionResolver") HandlerExceptionResolver resolver) {
        this.properties = properties;
        this.resolver = resolver;
    }

    @Override
    protected void doFilterInternal(
            HttpServletRequest request, HttpServletResponse response, FilterChain chain)
            throws ServletException, IOException {
        long limitBytes = limitFor(request);
        if (request.getContentLengthLong() > limitBytes) {
            resolver.resolveException(
                    request, response, null, new ContentTooLargeException(limitBytes));
            return;
        }
        chain.doFilter(
                isState(request)
                        ? new Limited(request, new Limit(limitBytes, null))
                        : new Limited(request, new Limit(limitBytes, BODY_TIME)),
                response);
    }

    /// A state is streamed, and may be large.
    private long limitFor(HttpServletRequest request) {
        return isState(request) ? properties.maxState().toBytes() : properties.maxBody().toBytes();
    }

    private static boolean isState(HttpServletRequest request) {
        return STATE.matcher(request.getRequestURI()).matches();
    }

    /// @param time null if another limits it
    private record Limit(long bytes, @Nullable Duration time) {}

    private static final class Limited extends HttpServletRequestWrapper {
        private final Limit limit;

        Limited(HttpServletRequest request, Limit limit) {
            super(request);
            this.limit = limit;
        }

        @Override
        public ServletInputStream getInputStream() throws IOException {
            return new LimitedStream(super.getInputStream(), limit);
        }

        @Override
        public BufferedReader getReader() throws IOException {
            return new BufferedReader(
                    new InputStreamReader(getInputStream(), StandardCharsets.UTF_8));
        }
    }

    private static final class LimitedStream extends ServletInputStream {
        private final ServletInputStream in;
        private final Limit limit;
        private final long startNanos = System.nanoTime();
        private long readBytes;

        LimitedStream(ServletInputStream in, Limit limit) {
            this.in = in;
            this.limit = limit;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int got = readInTime(bytes, offset, length);
            count(Math.max(got, 0));
            return got;
        }

        /// A client that sends a little from time to time would keep its thread for long.
        private int readInTime(byte[] bytes, int offset, int length) throws IOException {
            Duration time = limit.time;
            if (time == null) {
                return in.read(bytes, offset, length);
            }
            if (System.nanoTime() - startNanos > time.toNanos()) {
                throw new RequestTimeoutException("a body takes at most " + time);
            }
            try {
                return in.read(bytes, offset, length);
            } catch (SocketTimeoutException e) {
                throw new RequestTimeoutException(
                        "the body stopped after %d bytes".formatted(readBytes));
            }
        }

        private void count(int bytes) throws ContentTooLargeException {
            readBytes += bytes;
            if (readBytes > limit.bytes) {
                throw new ContentTooLargeException(limit.bytes);
            }
        }

        @Override
        public boolean isFinished() {
            return in.isFinished();
        }

        @Override
        public boolean isReady() {
            return in.isReady();
        }

        @Override
        public void setReadListener(ReadListener listener) {
            in.setReadListener(listener);
        }
    }
}
