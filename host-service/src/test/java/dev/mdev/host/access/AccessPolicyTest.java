package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.MdevException;
import dev.mdev.core.store.MemoryFiles;
import dev.mdev.host.access.AccessProperties.Authentication;
import dev.mdev.host.access.AccessProperties.Jwt;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.web.server.autoconfigure.ServerProperties;
import org.springframework.security.oauth2.jwt.JwtDecoder;
import org.springframework.util.unit.DataSize;

import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

class AccessPolicyTest {
    private static final ObjectProvider<JwtDecoder> NO_JWT =
            new ObjectProvider<>() {
                @Override
                public @Nullable JwtDecoder getIfAvailable() {
                    return null;
                }
            };

    private final TokenStore tokens = new TokenStore(new AccessFiles(new MemoryFiles()));

    private AccessPolicy policy(
            Authentication authentication, @Nullable Path adminToken, @Nullable String address)
            throws UnknownHostException {
        ServerProperties server = new ServerProperties();
        server.setAddress(address == null ? null : InetAddress.getByName(address));
        return new AccessPolicy(
                new AccessProperties(
                        authentication,
                        adminToken,
                        List.of("Mdev.example"),
                        null,
                        new Jwt("scope", null),
                        null,
                        DataSize.ofMegabytes(2),
                        new AccessProperties.Socket("none", "0600", null),
                        200),
                tokens,
                NO_JWT,
                server);
    }

    @Test
    void aServiceThatOtherMachinesReachDoesNotStartWithoutCredentials() {
        for (String address : new @Nullable String[] {"0.0.0.0", "192.0.2.1", "::", null}) {
            assertThatThrownBy(() -> policy(Authentication.AUTO, null, address))
                    .isInstanceOf(MdevException.class)
                    .hasMessageContaining("mdev.access.authentication=required");
        }
    }

    @Test
    void itStartsWhereCredentialsAreNeededOrTheOperatorInsists() throws Exception {
        assertThat(policy(Authentication.REQUIRED, null, "0.0.0.0").asksForCredentials()).isTrue();
        assertThat(policy(Authentication.NONE, null, "0.0.0.0").asksForCredentials()).isFalse();
        assertThat(policy(Authentication.AUTO, null, "127.0.0.2").asksForCredentials()).isFalse();
        tokens.make("x", Role.VIEWER, Reach.EVERYTHING, null);
        assertThat(policy(Authentication.AUTO, null, "0.0.0.0").asksForCredentials()).isTrue();
    }

    @Test
    void theFirstTokenClosesTheService() throws Exception {
        AccessPolicy policy = policy(Authentication.AUTO, null, "127.0.0.1");
        assertThat(policy.asksForCredentials()).isFalse();
        tokens.make("x", Role.VIEWER, Reach.EVERYTHING, null);
        assertThat(policy.asksForCredentials()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "127.0.0.1:8080, true",
        "localhost, true",
        "LOCALHOST:1, true",
        "[::1]:8080, true",
        "mdev.example:443, true",
        ", true",
        "evil.example, false",
        "127.0.0.1.evil.example:8080, false",
        "evil.example:127, false",
        "'', false",
    })
    void onlyItsOwnNamesAreInHost(@Nullable String host, boolean isOurs) throws Exception {
        assertThat(policy(Authentication.AUTO, null, "::1").isOurName(host)).isEqualTo(isOurs);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "short", "\n"})
    void anAdministratorsTokenIsNoShortWord(String text) throws Exception {
        Path file = Files.writeString(Files.createTempFile("mdev-test", "token"), text);
        try {
            assertThatThrownBy(() -> policy(Authentication.AUTO, file, "127.0.0.1"))
                    .isInstanceOf(MdevException.class)
                    .hasMessageContaining("wanted=32 to 1024");
        } finally {
            Files.delete(file);
        }
    }
}
