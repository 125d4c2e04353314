package dev.mdev.host.access;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.List;

/// A token, as clients see it.
///
/// @param token the secret; only in the answer that makes it
record TokenView(
        String id,
        String name,
        Role role,
        @Nullable String tenant,
        List<String> parents,
        List<String> machines,
        Instant created,
        @Nullable Instant expires,
        boolean expired,
        @Nullable String token) {
    static TokenView of(Token token) {
        return of(token, null);
    }

    static TokenView of(TokenStore.Made made) {
        return of(made.token(), made.secret());
    }

    private static TokenView of(Token token, @Nullable String secret) {
        return new TokenView(
                token.id(),
                token.name(),
                token.role(),
                token.reach().tenant(),
                token.reach().parents().stream().sorted().toList(),
                token.reach().machines().stream().sorted().toList(),
                token.created(),
                token.expires(),
                !token.isValidAt(Instant.now()),
                secret);
    }
}
