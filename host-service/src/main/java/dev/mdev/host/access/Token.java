package dev.mdev.host.access;

import dev.mdev.core.store.JournalLine;

import org.jspecify.annotations.Nullable;

import java.time.Instant;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// A bearer token, without its secret.
///
/// @param id names it in the API, the log and the audit log
/// @param hash SHA-256 of the secret, in hexadecimal digits
/// @param expires when it ends; never if absent
record Token(
        String id,
        String name,
        String hash,
        Role role,
        Reach reach,
        Instant created,
        @Nullable Instant expires) {
    private static final String KIND = "token";

    boolean isValidAt(Instant now) {
        return expires == null || now.isBefore(expires);
    }

    Caller caller(Caller.Means means) {
        return new Caller(name, means, role, reach);
    }

    /// The line of the file of tokens.
    String encode() {
        JournalLine line =
                JournalLine.of(KIND)
                        .with("id", id)
                        .with("name", name)
                        .with("hash", hash)
                        .with("role", JournalLine.wordOf(role))
                        .with("created", created);
        line = expires == null ? line : line.with("expires", expires);
        line = reach.tenant() == null ? line : line.with("tenant", reach.tenant());
        line = line.with("parents", words(reach.parents()));
        return line.with("machines", words(reach.machines())).encode();
    }

    /// Reads what [#encode] wrote.
    ///
    /// @throws dev.mdev.api.MdevException EINVAL for anything else
    static Token decode(String text) {
        JournalLine line = JournalLine.decode(text);
        Map<String, String> values = line.values();
        String expires = values.get("expires");
        return new Token(
                line.get("id"),
                line.get("name"),
                line.get("hash"),
                line.constant("role", Role.class),
                new Reach(
                        values.get("tenant"),
                        namesOf(line.get("parents")),
                        namesOf(line.get("machines"))),
                Instant.parse(line.get("created")),
                expires == null ? null : Instant.parse(expires));
    }

    private static String words(Set<String> names) {
        return new TreeSet<>(names).stream().collect(Collectors.joining(","));
    }

    private static Set<String> namesOf(String words) {
        return Arrays.stream(words.split(",", -1))
                .filter(name -> !name.isEmpty())
                .collect(Collectors.toUnmodifiableSet());
    }
}
