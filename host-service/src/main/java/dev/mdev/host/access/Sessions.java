package dev.mdev.host.access;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import org.springframework.stereotype.Component;

import java.time.Duration;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/// The sessions of browsers, in memory: each began with a token and ends with it, and with the
/// service.
///
/// Any thread may call all methods. Lock: `lock`, a leaf.
@Component
final class Sessions {
    static final Duration LIFE = Duration.ofHours(12);

    /// The maximum number of sessions; the oldest one ends for a new one.
    private static final int MAX_SESSIONS = 1024;

    private final AccessPolicy policy;
    private final TokenStore tokens;
    private final ReentrantLock lock = new ReentrantLock();

    /// By the hash of the cookie, the oldest first.
    @GuardedBy("lock")
    private final LinkedHashMap<String, Session> sessions = new LinkedHashMap<>();

    Sessions(AccessPolicy policy, TokenStore tokens) {
        this.policy = policy;
        this.tokens = tokens;
    }

    /// A session.
    ///
    /// @param csrf what each request of the session that changes something has in a header
    record Session(String tokenId, String csrf, Instant expires) {}

    /// A session that just began.
    ///
    /// @param secret the cookie's value
    record Begun(Session session, String secret) {}

    Begun begin(Token token) {
        Instant latest = Instant.now().plus(LIFE);
        Instant end = token.expires();
        Session session =
                new Session(
                        token.id(),
                        Secrets.random(),
                        end == null || end.isAfter(latest) ? latest : end);
        String secret = Secrets.random();
        lock.lock();
        try {
            sessions.values().removeIf(it -> !Instant.now().isBefore(it.expires()));
            if (sessions.size() >= MAX_SESSIONS) {
                sessions.pollFirstEntry();
            }
            sessions.put(Secrets.hash(secret), session);
        } finally {
            lock.unlock();
        }
        return new Begun(session, secret);
    }

    /// The session of a cookie, if it has not ended.
    Optional<Session> find(String secret) {
        lock.lock();
        try {
            return Optional.ofNullable(sessions.get(Secrets.hash(secret)))
                    .filter(it -> Instant.now().isBefore(it.expires()));
        } finally {
            lock.unlock();
        }
    }

    /// The token that a session began with, if it is still valid.
    Optional<Token> token(Session session) {
        return session.tokenId().equals(AccessPolicy.FILE_TOKEN)
                ? policy.adminToken()
                : tokens.find(session.tokenId()).filter(it -> it.isValidAt(Instant.now()));
    }

    void end(String secret) {
        lock.lock();
        try {
            sessions.remove(Secrets.hash(secret));
        } finally {
            lock.unlock();
        }
    }
}
