package dev.mdev.host.access;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.host.access.AccessProperties.Authentication;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.web.server.autoconfigure.ServerProperties;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.stereotype.Component;

import java.io.IOException;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Whether callers need credentials. A service that other machines reach does not start without
/// them, unless the operator says so.
@Component
final class AccessPolicy {
    /// The id and the name of the token of the administrator's file. Others have random ids.
    static final String FILE_TOKEN = "admin-token-file";

    private static final Set<String> LOOPBACK = Set.of("localhost", "127.0.0.1", "[::1]");
    private static final int MIN_ADMIN_TOKEN = 32;
    private static final int MAX_ADMIN_TOKEN = 1024;

    private final AccessProperties properties;
    private final TokenStore tokens;
    private final boolean hasOtherCredentials;
    private final Set<String> hosts;
    private final Optional<String> adminTokenHash;

    /// @throws MdevException EINVAL if other machines would reach the service without credentials
    AccessPolicy(
            AccessProperties properties,
            TokenStore tokens,
            ObjectProvider<JwtDecoder> jwt,
            ServerProperties server) {
        this.properties = properties;
        this.tokens = tokens;
        this.adminTokenHash =
                Optional.ofNullable(properties.adminTokenFile()).map(AccessPolicy::hashOf);
        this.hasOtherCredentials =
                adminTokenHash.isPresent()
                        || !properties.certificateGrants().isEmpty()
                        || jwt.getIfAvailable() != null;
        this.hosts =
                Stream.concat(LOOPBACK.stream(), properties.hosts().stream())
                        .map(name -> name.toLowerCase(Locale.ROOT))
                        .collect(Collectors.toUnmodifiableSet());
        requireSafe(server.getAddress());
    }

    private static String hashOf(Path file) {
        try {
            String text = Files.readString(file, StandardCharsets.UTF_8).strip();
            if (text.length() < MIN_ADMIN_TOKEN || text.length() > MAX_ADMIN_TOKEN) {
                throw new MdevException(
                        Errno.EINVAL,
                        "mdev.access.admin-token-file=%s has a token of %d characters, wanted=%d to %d"
                                .formatted(file, text.length(), MIN_ADMIN_TOKEN, MAX_ADMIN_TOKEN));
            }
            return Secrets.hash(text);
        } catch (IOException e) {
            throw new MdevException(
                    Errno.EINVAL,
                    "mdev.access.admin-token-file=%s cannot be read: %s".formatted(file, e),
                    e);
        }
    }

    private void requireSafe(@Nullable InetAddress address) {
        boolean isLocal = address != null && address.isLoopbackAddress();
        if (!isLocal
                && properties.authentication() == Authentication.AUTO
                && !asksForCredentials()) {
            throw new MdevException(
                    Errno.EINVAL,
                    """
                    server.address=%s is open to other machines, and nobody would need credentials. \
                    Make a token while the service listens on 127.0.0.1, or set \
                    mdev.access.authentication=required and make it on the Unix socket, or name one \
                    by mdev.access.admin-token-file. Set mdev.access.authentication=none only where \
                    something else keeps strangers out\
                    """
                            .formatted(address == null ? "(all)" : address.getHostAddress()));
        }
    }

    /// Whether a request without credentials is refused.
    boolean asksForCredentials() {
        return switch (properties.authentication()) {
            case AUTO -> hasOtherCredentials || tokens.everMade();
            case REQUIRED -> true;
            case NONE -> false;
        };
    }

    /// Whether a request without credentials may have this `Host`. A page whose name was made to
    /// point here has another; a client that is no browser may have none.
    boolean isOurName(@Nullable String host) {
        return host == null
                || hosts.contains(host.toLowerCase(Locale.ROOT).replaceFirst(":[0-9]*$", ""));
    }

    /// The token of the administrator's file, if a text is its secret.
    Optional<Token> adminToken(String text) {
        return adminToken().filter(token -> Secrets.same(token.hash(), Secrets.hash(text)));
    }

    /// The token of the administrator's file, which no store has.
    Optional<Token> adminToken() {
        return adminTokenHash.map(AccessPolicy::fileToken);
    }

    private static Token fileToken(String hash) {
        return new Token(
                FILE_TOKEN, FILE_TOKEN, hash, Role.ADMIN, Reach.EVERYTHING, Instant.EPOCH, null);
    }

    /// For the line of the start.
    String description() {
        return asksForCredentials() ? "with authentication" : "without authentication";
    }
}
