package dev.mdev.host.access;

import dev.mdev.host.problem.Problem;
import dev.mdev.host.problem.ProblemException;

import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServletRequest;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.http.HttpHeaders;
import org.springframework.security.oauth2.jwt.Jwt;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.security.oauth2.jwt.JwtException;
import org.springframework.security.web.authentication.preauth.x509.SubjectX500PrincipalExtractor;
import org.springframework.stereotype.Component;

import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;

/// Finds the caller of a request by its credentials.
@Component
final class Credentials {
    /// The cookie of a session.
    static final String COOKIE = "mdev-session";

    /// The attribute of a request with its [Sessions.Session].
    static final String SESSION = Credentials.class.getName() + ".session";

    /// The attribute of a request that came by the Unix socket.
    static final String BY_SOCKET = Credentials.class.getName() + ".socket";

    private static final String BEARER = "bearer ";
    private static final String CERTIFICATES = "jakarta.servlet.request.X509Certificate";
    private static final String ROLE_PREFIX = "mdev:";
    private static final String WANTED =
            "send a token, as Authorization: Bearer TOKEN; an administrator makes one by"
                    + " mdev tokens create, or POST /api/v1/tokens";

    private final AccessPolicy policy;
    private final AccessProperties properties;
    private final TokenStore tokens;
    private final Sessions sessions;
    private final ObjectProvider<JwtDecoder> jwt;
    private final SubjectX500PrincipalExtractor commonName = new SubjectX500PrincipalExtractor();

    Credentials(
            AccessPolicy policy,
            AccessProperties properties,
            TokenStore tokens,
            Sessions sessions,
            ObjectProvider<JwtDecoder> jwt) {
        this.policy = policy;
        this.properties = properties;
        this.tokens = tokens;
        this.sessions = sessions;
        this.jwt = jwt;
    }

    /// The caller of a request. What a request names counts before what its connection is.
    ///
    /// @throws ProblemException `unauthenticated` if it has no valid credentials and needs some;
    ///   `denied` if it needs none, and its `Host` is not ours
    Caller callerOf(HttpServletRequest request) {
        List<String> headers = Collections.list(request.getHeaders(HttpHeaders.AUTHORIZATION));
        if (!headers.isEmpty()) {
            return ofHeaders(headers);
        }
        return ofSession(request)
                .or(() -> ofConnection(request))
                .orElseGet(() -> withoutCredentials(request));
    }

    /// Whether the credentials of a request still count, to be asked later.
    ///
    /// @param caller the caller of the request
    BooleanSupplier validity(Caller caller, HttpServletRequest request) {
        String header = request.getHeader(HttpHeaders.AUTHORIZATION);
        Optional<String> cookie = cookieOf(request);
        return switch (caller.means()) {
            case TOKEN, JWT -> () -> isAccepted(header);
            case SESSION ->
                    () -> cookie.flatMap(sessions::find).flatMap(sessions::token).isPresent();
            case ADDRESS -> () -> !policy.asksForCredentials();
            case SOCKET, CERTIFICATE, SERVICE -> () -> true;
        };
    }

    private boolean isAccepted(String header) {
        try {
            return ofHeaders(List.of(header)).role() != null;
        } catch (ProblemException _) {
            return false;
        }
    }

    private Caller ofHeaders(List<String> headers) {
        String header = headers.getFirst();
        if (headers.size() > 1 || !header.regionMatches(true, 0, BEARER, 0, BEARER.length())) {
            throw unauthenticated("Authorization is understood once, as Bearer TOKEN");
        }
        String text = header.substring(BEARER.length()).strip();
        if (TokenStore.isOurs(text) || policy.adminToken(text).isPresent()) {
            return ofToken(text).caller(Caller.Means.TOKEN);
        }
        JwtDecoder decoder = jwt.getIfAvailable();
        if (decoder == null) {
            throw unknownToken();
        }
        try {
            return ofJwt(decoder.decode(text));
        } catch (JwtException e) {
            throw unauthenticated(
                    "the identity provider's token is not accepted: " + e.getMessage());
        }
    }

    /// The valid token of a text.
    ///
    /// @throws ProblemException `unauthenticated` if there is none
    Token ofToken(String text) {
        return policy.adminToken(text)
                .or(() -> tokens.authenticate(text))
                .orElseThrow(Credentials::unknownToken);
    }

    private static ProblemException unknownToken() {
        return unauthenticated("this token is unknown, revoked or expired; " + WANTED);
    }

    private Caller ofJwt(Jwt token) {
        Role role =
                wordsOf(token.getClaim(properties.jwt().roleClaim()))
                        .flatMap(word ->
                                Arrays.stream(Role.values())
                                        .filter(it -> word.equals(ROLE_PREFIX + it.word())))
                        .max(Comparator.naturalOrder())
                        .orElseThrow(() ->
                                unauthenticated(
                                        "the identity provider's token has no role: claim=%s wanted=mdev:viewer, mdev:operator or mdev:admin"
                                                .formatted(properties.jwt().roleClaim())));
        String claim = properties.jwt().tenantClaim();
        String tenant = claim == null ? null : token.getClaimAsString(claim);
        if (claim != null && (tenant == null || tenant.isEmpty())) {
            throw unauthenticated("the identity provider's token names no tenant: claim=" + claim);
        }
        String subject = token.getSubject();
        return new Caller(
                subject == null ? "(no subject)" : subject,
                Caller.Means.JWT,
                role,
                new Reach(tenant, Set.of(), Set.of()));
    }

    private static Stream<String> wordsOf(@Nullable Object claim) {
        return switch (claim) {
            case String text -> Arrays.stream(text.split(" ", -1));
            case Collection<?> list -> list.stream().map(String::valueOf);
            case null, default -> Stream.empty();
        };
    }

    private Optional<Caller> ofSession(HttpServletRequest request) {
        return cookieOf(request)
                .flatMap(sessions::find)
                .flatMap(session ->
                        sessions.token(session)
                                .map(token -> {
                                    request.setAttribute(SESSION, session);
                                    return token.caller(Caller.Means.SESSION);
                                }));
    }

    /// The value of a session's cookie.
    static Optional<String> cookieOf(HttpServletRequest request) {
        Cookie[] cookies = request.getCookies();
        return cookies == null
                ? Optional.empty()
                : Arrays.stream(cookies)
                        .filter(it -> it.getName().equals(COOKIE))
                        .map(Cookie::getValue)
                        .findFirst();
    }

    private Optional<Caller> ofConnection(HttpServletRequest request) {
        if (request.getAttribute(BY_SOCKET) != null) {
            return Optional.of(Caller.SOCKET_USER);
        }
        if (!(request.getAttribute(CERTIFICATES) instanceof X509Certificate[] chain)
                || chain.length == 0) {
            return Optional.empty();
        }
        String name = String.valueOf(commonName.extractPrincipal(chain[0]));
        return Optional.ofNullable(properties.certificateGrants().get(name))
                .map(grant ->
                        new Caller(name, Caller.Means.CERTIFICATE, grant.role(), grant.reach()));
    }

    private Caller withoutCredentials(HttpServletRequest request) {
        if (policy.asksForCredentials()) {
            throw unauthenticated("this service wants to know its callers: " + WANTED);
        }
        String host = request.getHeader(HttpHeaders.HOST);
        if (!policy.isOurName(host)) {
            throw new ProblemException(
                    Problem.DENIED,
                    "Host=%s is not a name of this service; see mdev.access.hosts".formatted(host));
        }
        return Caller.ANYONE;
    }

    private static ProblemException unauthenticated(String detail) {
        return new ProblemException(Problem.UNAUTHENTICATED, detail);
    }
}
