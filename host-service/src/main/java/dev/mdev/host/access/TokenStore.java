package dev.mdev.host.access;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.store.Journal;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.stereotype.Component;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The tokens of this service, in the file `tokens`. Only their hashes are kept.
///
/// Any thread may call all methods. Lock: `lock`, held during I/O of a change; finding a token
/// takes no lock.
@Component
final class TokenStore {
    /// The maximum number of tokens.
    static final int MAX_TOKENS = 1024;

    private static final Logger log = LoggerFactory.getLogger(TokenStore.class);
    private static final Pattern FORM = Pattern.compile("mdev_([0-9a-f]{16})_([A-Za-z0-9_-]{43})");
    private static final String FILE = "tokens";

    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private final Journal journal;

    /// By id; replaced as a whole.
    private volatile Map<String, Token> tokens = Map.of();

    /// Whether a token was ever made: from then on, the service asks for credentials.
    private volatile boolean everMade;

    /// @throws MdevException the files' error
    TokenStore(AccessFiles files) {
        journal = Journal.open(files.files(), FILE);
        Journal.Content content = journal.read();
        everMade = files.files().list().contains(FILE);
        Map<String, Token> found = new LinkedHashMap<>();
        for (String text : content.texts()) {
            try {
                Token token = Token.decode(text);
                found.put(token.id(), token);
            } catch (RuntimeException e) {
                journal.keepCopy();
                log.error(
                        "a line of the file of tokens means nothing and is dropped: {}",
                        e.toString());
            }
        }
        content.damage()
                .ifPresent(what ->
                        log.error("the file of tokens is damaged at {}; tokens may be lost", what));
        tokens = Map.copyOf(found);
    }

    /// A token that was just made.
    ///
    /// @param secret what its holder sends; nothing keeps it
    record Made(Token token, String secret) {}

    boolean everMade() {
        return everMade;
    }

    /// The tokens, the oldest first.
    List<Token> list() {
        return tokens.values().stream()
                .sorted(Comparator.comparing(Token::created).thenComparing(Token::id))
                .toList();
    }

    Optional<Token> find(String id) {
        return Optional.ofNullable(tokens.get(id));
    }

    /// Whether a text looks like a token of this service.
    static boolean isOurs(String text) {
        return text.startsWith("mdev_");
    }

    /// The valid token of a text from a client.
    Optional<Token> authenticate(String text) {
        Matcher parts = FORM.matcher(text);
        return parts.matches()
                ? find(parts.group(1))
                        .filter(token -> Secrets.same(token.hash(), Secrets.hash(parts.group(2))))
                        .filter(token -> token.isValidAt(Instant.now()))
                : Optional.empty();
    }

    /// Makes a token.
    ///
    /// @throws MdevException EUSERS if there are too many; the files' error
    Made make(String name, Role role, Reach reach, @Nullable Instant expires) {
        String id = Secrets.randomId();
        String secret = Secrets.random();
        Token token =
                new Token(
                        id,
                        name,
                        Secrets.hash(secret),
                        role,
                        reach,
                        Instant.now().truncatedTo(ChronoUnit.MILLIS),
                        expires);
        lock.lock();
        try {
            if (tokens.size() >= MAX_TOKENS) {
                throw new MdevException(
                        Errno.EUSERS,
                        "there are already %d tokens, the maximum".formatted(MAX_TOKENS));
            }
            Map<String, Token> more = new LinkedHashMap<>(tokens);
            more.put(id, token);
            replaceLocked(more);
        } finally {
            lock.unlock();
        }
        return new Made(token, "mdev_%s_%s".formatted(id, secret));
    }

    /// Revokes a token: from now on, nothing accepts it.
    ///
    /// @return whether it was there
    /// @throws MdevException the files' error
    boolean revoke(String id) {
        lock.lock();
        try {
            Map<String, Token> fewer = new LinkedHashMap<>(tokens);
            if (fewer.remove(id) == null) {
                return false;
            }
            replaceLocked(fewer);
            return true;
        } finally {
            lock.unlock();
        }
    }

    @GuardedBy("lock")
    private void replaceLocked(Map<String, Token> next) {
        List<String> lines = new ArrayList<>();
        next.values().forEach(token -> lines.add(token.encode()));
        journal.rewrite(lines);
        everMade = true;
        tokens = Map.copyOf(next);
    }
}
