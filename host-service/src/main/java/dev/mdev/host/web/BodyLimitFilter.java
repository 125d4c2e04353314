package dev.mdev.host.web;

import dev.mdev.host.problem.ContentTooLargeException;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ReadListener;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletInputStream;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletRequestWrapper;
import jakarta.servlet.http.HttpServletResponse;

import org.springframework.beans.factory.annotation.Qualifier;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.stereotype.Component;
import org.springframework.web.filter.OncePerRequestFilter;
import org.springframework.web.servlet.HandlerExceptionResolver;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.regex.Pattern;

/// Refuses bodies that are too large: at once if the length is announced, otherwise as soon as too
/// much was read.
@Component
@Order(Ordered.HIGHEST_PRECEDENCE + 1)
final class BodyLimitFilter extends OncePerRequestFilter {
    private static final Pattern STATE = Pattern.compile("/api/v1/mdevs/[^/]+/state");

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
        chain.doFilter(new Limited(request, limitBytes), response);
    }

    /// A device's state is streamed, and may be large.
    private long limitFor(HttpServletRequest request) {
        return STATE.matcher(request.getRequestURI()).matches()
                ? properties.maxState().toBytes()
                : properties.maxBody().toBytes();
    }

    private static final class Limited extends HttpServletRequestWrapper {
        private final long limitBytes;

        Limited(HttpServletRequest request, long limitBytes) {
            super(request);
            this.limitBytes = limitBytes;
        }

        @Override
        public ServletInputStream getInputStream() throws IOException {
            return new LimitedStream(super.getInputStream(), limitBytes);
        }

        @Override
        public BufferedReader getReader() throws IOException {
            return new BufferedReader(
                    new InputStreamReader(getInputStream(), StandardCharsets.UTF_8));
        }
    }

    private static final class LimitedStream extends ServletInputStream {
        private final ServletInputStream in;
        private final long limitBytes;
        private long readBytes;

        LimitedStream(ServletInputStream in, long limitBytes) {
            this.in = in;
            this.limitBytes = limitBytes;
        }

        @Override
        public int read() throws IOException {
            int value = in.read();
            count(value < 0 ? 0 : 1);
            return value;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            int got = in.read(bytes, offset, length);
            count(Math.max(got, 0));
            return got;
        }

        private void count(int bytes) throws ContentTooLargeException {
            readBytes += bytes;
            if (readBytes > limitBytes) {
                throw new ContentTooLargeException(limitBytes);
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
