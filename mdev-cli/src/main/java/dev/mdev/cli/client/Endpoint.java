package dev.mdev.cli.client;

import dev.mdev.cli.failure.Failure;

import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/// Where the service is, and how long it may take to answer.
///
/// @param root `http` or `https`, a host, and maybe a port and a path; without a slash at its end
/// @param timeout for a connection, and then for a whole answer
/// @param socket the Unix socket to connect to, in place of the root's host
/// @param token what the service asks for, if anything
/// @param authorities a file with the certificates of those who vouch for an `https` service, in
///   place of those whom the Java runtime trusts
public record Endpoint(
        URI root,
        Duration timeout,
        Optional<Path> socket,
        Optional<String> token,
        Optional<Path> authorities) {
    /// Where a service listens that nobody configured.
    public static final String DEFAULT_URL = "http://127.0.0.1:8080";

    /// Where its Unix socket is.
    public static final String DEFAULT_SOCKET = "/run/mdev-host/mdev.sock";

    private static final String UNIX = "unix:";

    /// @param source where the URL comes from, for the failure's message
    /// @throws Failure if it is not the URL of a server
    public static Endpoint of(String url, String source, Duration timeout) {
        if (url.startsWith(UNIX + "/")) {
            return new Endpoint(
                    URI.create("http://localhost"),
                    timeout,
                    Optional.of(Path.of(url.substring(UNIX.length()))),
                    Optional.empty(),
                    Optional.empty());
        }
        try {
            URI uri = new URI(url.endsWith("/") ? url.substring(0, url.length() - 1) : url);
            boolean isServer =
                    ("http".equals(uri.getScheme()) || "https".equals(uri.getScheme()))
                            && uri.getHost() != null
                            && uri.getRawUserInfo() == null
                            && uri.getRawQuery() == null
                            && uri.getRawFragment() == null;
            if (isServer) {
                return new Endpoint(
                        uri, timeout, Optional.empty(), Optional.empty(), Optional.empty());
            }
        } catch (URISyntaxException e) {
            throw notAServer(url, source);
        }
        throw notAServer(url, source);
    }

    /// The service at a Unix socket.
    public static String urlOf(Path socket) {
        return UNIX + socket.toAbsolutePath();
    }

    /// The same, with a token.
    ///
    /// @throws Failure if others on the way could read it
    public Endpoint withToken(String token) {
        if (!token.matches("[A-Za-z0-9._~+/=-]{1,4096}")) {
            throw Failure.usage("the token has a character that no token has");
        }
        boolean isSafe =
                socket.isPresent()
                        || !isPlain()
                        || root.getHost().matches("localhost|127\\.[0-9.]+|\\[::1]");
        if (!isSafe) {
            throw Failure.usage("a token is not sent over http to %s; use https".formatted(root));
        }
        return new Endpoint(root, timeout, socket, Optional.of(token), authorities);
    }

    /// The same, with those who vouch for it. Only `https` needs them.
    public Endpoint withAuthorities(Path file) {
        return new Endpoint(root, timeout, socket, token, Optional.of(file));
    }

    /// For messages.
    String name() {
        return socket.map(Endpoint::urlOf).orElse(root.toString());
    }

    /// Whether it is `http`.
    boolean isPlain() {
        return "http".equals(root.getScheme());
    }

    private static Failure notAServer(String url, String source) {
        return Failure.usage("%s: url=%s wanted=http://HOST:PORT".formatted(source, url));
    }
}
