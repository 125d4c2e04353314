package dev.mdev.cli.client;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpHeaders;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

import javax.net.ssl.SSLSession;

/// The answers of [UnixHttp].
final class UnixAnswer {
    private UnixAnswer() {}

    private static final int MAX_LINE_BYTES = 16384;
    private static final int MAX_HEADERS = 128;

    /// The first lines of an answer.
    record Head(int statusCode, HttpHeaders headers) implements HttpResponse.ResponseInfo {
        static Head read(InputStream in) throws IOException {
            String status = lineOf(in);
            if (!status.matches("HTTP/1\\.[01] [1-5][0-9][0-9].*")) {
                throw new IOException("not an answer of HTTP");
            }
            Map<String, List<String>> headers = new TreeMap<>(String.CASE_INSENSITIVE_ORDER);
            for (int i = 0; ; i++) {
                String line = lineOf(in);
                if (line.isEmpty()) {
                    break;
                }
                int colon = line.indexOf(':');
                if (colon <= 0 || i == MAX_HEADERS) {
                    throw new IOException("malformed headers");
                }
                headers.computeIfAbsent(line.substring(0, colon), _ -> new ArrayList<>())
                        .add(line.substring(colon + 1).strip());
            }
            return new Head(
                    Integer.parseInt(status.substring(9, 12)),
                    HttpHeaders.of(headers, (_, _) -> true));
        }

        private static String lineOf(InputStream in) throws IOException {
            ByteArrayOutputStream line = new ByteArrayOutputStream();
            while (true) {
                int next = in.read();
                if (next < 0 || line.size() > MAX_LINE_BYTES) {
                    throw new EOFException("the answer ends early");
                }
                if (next == '\n') {
                    String text = line.toString(StandardCharsets.ISO_8859_1);
                    return text.endsWith("\r") ? text.substring(0, text.length() - 1) : text;
                }
                line.write(next);
            }
        }

        InputStream bodyOf(InputStream in) throws IOException {
            if (statusCode == 204 || statusCode == 304) {
                return InputStream.nullInputStream();
            }
            if (headers.firstValue("Transfer-Encoding")
                    .filter(it -> it.toLowerCase(Locale.ROOT).equals("chunked"))
                    .isPresent()) {
                return new Chunks(in);
            }
            Optional<String> length = headers.firstValue("Content-Length");
            if (length.isEmpty()) {
                return in;
            }
            if (!length.get().matches("[0-9]{1,18}")) {
                throw new IOException("malformed Content-Length");
            }
            return new Exactly(in, Long.parseLong(length.get()));
        }

        @Override
        public HttpClient.Version version() {
            return HttpClient.Version.HTTP_1_1;
        }
    }

    /// A stream of a known length: an earlier end is a failure.
    private static final class Exactly extends InputStream {
        private final InputStream in;
        private long restBytes;

        Exactly(InputStream in, long restBytes) {
            this.in = in;
            this.restBytes = restBytes;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] to, int offset, int length) throws IOException {
            if (restBytes == 0) {
                return -1;
            }
            int got = in.read(to, offset, (int) Math.min(length, restBytes));
            if (got < 0) {
                throw new EOFException("the answer ends early");
            }
            restBytes -= got;
            return got;
        }
    }

    /// A body in chunks (RFC 9112, section 7.1).
    private static final class Chunks extends InputStream {
        private final InputStream in;
        private InputStream chunk = InputStream.nullInputStream();
        private boolean isFirst = true;
        private boolean isOver;

        Chunks(InputStream in) {
            this.in = in;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : Byte.toUnsignedInt(one[0]);
        }

        @Override
        public int read(byte[] to, int offset, int length) throws IOException {
            int got = chunk.read(to, offset, length);
            while (got < 0 && !isOver) {
                next();
                got = isOver ? -1 : chunk.read(to, offset, length);
            }
            return got;
        }

        private void next() throws IOException {
            if (!isFirst && !Head.lineOf(in).isEmpty()) {
                throw new IOException("malformed chunk");
            }
            isFirst = false;
            String size = Head.lineOf(in);
            int semicolon = size.indexOf(';');
            String digits = (semicolon < 0 ? size : size.substring(0, semicolon)).strip();
            if (!digits.matches("[0-9a-fA-F]{1,15}")) {
                throw new IOException("malformed chunk");
            }
            long bytes = Long.parseLong(digits, 16);
            isOver = bytes == 0;
            chunk = new Exactly(in, bytes);
        }
    }

    record Answer<T>(HttpRequest request, Head head, T body) implements HttpResponse<T> {
        @Override
        public int statusCode() {
            return head.statusCode;
        }

        @Override
        public Optional<HttpResponse<T>> previousResponse() {
            return Optional.empty();
        }

        @Override
        public HttpHeaders headers() {
            return head.headers;
        }

        @Override
        public Optional<SSLSession> sslSession() {
            return Optional.empty();
        }

        @Override
        public URI uri() {
            return request.uri();
        }

        @Override
        public HttpClient.Version version() {
            return HttpClient.Version.HTTP_1_1;
        }
    }
}
