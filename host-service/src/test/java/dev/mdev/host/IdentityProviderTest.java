package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.crypto.RSASSASigner;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.jwk.gen.RSAKeyGenerator;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.PlainJWT;
import com.nimbusds.jwt.SignedJWT;
import com.sun.net.httpserver.HttpServer;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.Map;

/// A running server that accepts the tokens of an identity provider.
@SpringBootTest(
        webEnvironment = SpringBootTest.WebEnvironment.RANDOM_PORT,
        properties = {
            "mdev.engine=software",
            "mdev.access.socket.path=none",
            "mdev.access.jwt.tenant-claim=tenant",
            "spring.security.oauth2.resourceserver.jwt.audiences=mdev"
        })
@Tag("slow")
class IdentityProviderTest {
    private static final RSAKey KEY = key();
    private static final HttpServer PROVIDER = provider();

    @LocalServerPort private int port;
    private Api api = new Api(0);

    private static RSAKey key() {
        try {
            return new RSAKeyGenerator(2048).keyID("k1").generate();
        } catch (JOSEException e) {
            throw new IllegalStateException(e);
        }
    }

    private static HttpServer provider() {
        try {
            HttpServer server =
                    HttpServer.create(
                            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
            byte[] keys = new JWKSet(KEY.toPublicJWK()).toString().getBytes(StandardCharsets.UTF_8);
            var _ =
                    server.createContext(
                            "/keys",
                            exchange -> {
                                exchange.sendResponseHeaders(200, keys.length);
                                exchange.getResponseBody().write(keys);
                                exchange.close();
                            });
            server.start();
            return server;
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    @DynamicPropertySource
    static void keys(DynamicPropertyRegistry registry) {
        registry.add(
                "spring.security.oauth2.resourceserver.jwt.jwk-set-uri",
                () -> "http://127.0.0.1:%d/keys".formatted(PROVIDER.getAddress().getPort()));
    }

    @AfterAll
    static void stop() {
        PROVIDER.stop(0);
    }

    @BeforeEach
    void connect() {
        api.close();
        api = new Api(port);
    }

    @AfterEach
    void disconnect() {
        api.close();
    }

    private static JWTClaimsSet.Builder claims() {
        return new JWTClaimsSet.Builder()
                .subject("ann")
                .audience("mdev")
                .claim("scope", "openid mdev:viewer mdev:operator")
                .claim("tenant", "red")
                .expirationTime(Date.from(Instant.now().plus(Duration.ofHours(1))));
    }

    private static String signed(RSAKey key, JWTClaimsSet claims) throws JOSEException {
        SignedJWT token =
                new SignedJWT(
                        new JWSHeader.Builder(JWSAlgorithm.RS256).keyID(KEY.getKeyID()).build(),
                        claims);
        token.sign(new RSASSASigner(key));
        return token.serialize();
    }

    private Answer get(String path, String token) {
        return api.send("GET", path, "", Map.of("Authorization", "Bearer " + token));
    }

    @Test
    void aTokenOfTheProviderHasItsRoleAndItsTenant() throws JOSEException {
        String token = signed(KEY, claims().build());
        Answer who = get("/api/v1/session", token).requireStatus(200);
        assertThat(who.at("/name")).isEqualTo("ann");
        assertThat(who.at("/role")).isEqualTo("operator");
        assertThat(who.at("/tenant")).isEqualTo("red");
        assertThat(who.at("/means")).isEqualTo("jwt");
        get("/api/v1/mdevs", token).requireStatus(200);
        get("/api/v1/tokens", token).requireProblem(403, "denied");
    }

    @Test
    void aTokenThatTheProviderDidNotGiveOrThatHasEndedIsNotAccepted() throws JOSEException {
        RSAKey other = new RSAKeyGenerator(2048).keyID("k1").generate();
        Date past = Date.from(Instant.now().minus(Duration.ofHours(1)));
        for (String token :
                new String[] {
                    signed(other, claims().build()),
                    signed(KEY, claims().expirationTime(past).build()),
                    signed(KEY, claims().audience("another").build()),
                    signed(KEY, claims().claim("scope", "openid").build()),
                    signed(KEY, claims().claim("tenant", null).build()),
                    new PlainJWT(claims().build()).serialize(),
                    "a.b.c"
                }) {
            get("/api/v1/mdevs", token).requireProblem(401, "unauthenticated");
        }
        api.get("/api/v1/mdevs").requireProblem(401, "unauthenticated");
    }
}
