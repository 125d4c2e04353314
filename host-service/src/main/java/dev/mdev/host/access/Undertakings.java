package dev.mdev.host.access;

import java.util.Optional;

/// Knows who began the work that goes on after the answer to its call.
public interface Undertakings {
    /// Who began an operation; nothing if it is not known any more.
    Optional<Caller> startedBy(String id);
}
