package dev.mdev.cli.client;

import dev.mdev.cli.failure.Failure;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;

/// Where the service is, and how long it may take to answer.
///
/// @param root `http` or `https`, a host, and maybe a port and a path; without a slash at its end
/// @param timeout for a connection, and then for a whole answer
public record Endpoint(URI root, Duration timeout) {
    /// Where a service listens that nobody configured.
    public static final String DEFAULT_URL = "http://127.0.0.1:8080";

    /// @param source where the URL comes from, for the failure's message
    /// @throws Failure if it is not the URL of a server
    public static Endpoint of(String url, String source, Duration timeout) {
        try {
            URI uri = new URI(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
            boolean isServer =
                    ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))
                            && uri.getHost() != null
                            && uri.getRawUserInfo() == null
                            && uri.getRawQuery() == null
                            && uri.getRawFragment() == null;
            if (isServer) {
                return new Endpoint(uri, timeout);
            }
        } catch (URISyntaxException e) {
            throw notAServer(url, source);
        }
        throw notAServer(url, source);
    }

    /// Whether it is `http`.
    boolean isPlain() {
        return "http".equals(root.getScheme());
    }

    private static Failure notAServer(String url, String source) {
        return Failure.usage("%s: url=%s wanted=http://HOST:PORT".formatted(source, url));
    }
}
