package dev.mdev.host.access;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.store.MemoryFiles;

import org.junit.jupiter.api.Test;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Set;

class TokenStoreTest {
    private final MemoryFiles files = new MemoryFiles();
    private final AccessFiles accessFiles = new AccessFiles(files);

    @Test
    void aTokenIsKnownAfterARestartWithAllItsLimits() {
        TokenStore store = new TokenStore(accessFiles);
        assertThat(store.everMade()).isFalse();
        Reach reach = new Reach("red", Set.of("gpu0", "gpu1"), Set.of("vm1"));
        TokenStore.Made made =
                store.make("ci", Role.OPERATOR, reach, Instant.parse("2100-01-01T00:00:00Z"));

        TokenStore next = new TokenStore(accessFiles);

        assertThat(next.authenticate(made.secret())).contains(made.token());
        assertThat(next.list()).containsExactly(made.token());
        assertThat(next.everMade()).isTrue();
    }

    @Test
    void onlyAHashOfTheSecretIsKept() {
        TokenStore.Made made =
                new TokenStore(accessFiles).make("ci", Role.ADMIN, Reach.EVERYTHING, null);
        String secret = made.secret().substring(made.secret().lastIndexOf('_') - 20);
        for (String name : files.list()) {
            assertThat(new String(files.read(name, 1 << 20).orElseThrow(), StandardCharsets.UTF_8))
                    .doesNotContain(secret);
        }
        assertThat(made.token().toString()).doesNotContain(secret);
    }

    @Test
    void theLastRevokedTokenDoesNotOpenTheServiceAgain() {
        TokenStore store = new TokenStore(accessFiles);
        TokenStore.Made made = store.make("ci", Role.ADMIN, Reach.EVERYTHING, null);
        assertThat(store.revoke(made.token().id())).isTrue();
        assertThat(store.revoke(made.token().id())).isFalse();

        assertThat(store.authenticate(made.secret())).isEmpty();
        assertThat(store.everMade()).isTrue();
        assertThat(new TokenStore(accessFiles).everMade()).isTrue();
    }

    @Test
    void anExpiredTokenIsNotAccepted() {
        TokenStore store = new TokenStore(accessFiles);
        TokenStore.Made made =
                store.make("ci", Role.ADMIN, Reach.EVERYTHING, Instant.now().minusMillis(1));
        assertThat(store.authenticate(made.secret())).isEmpty();
        assertThat(store.list()).hasSize(1);
    }
}
