package dev.mdev.host.event;

import java.time.Instant;
import java.util.UUID;

/// A trouble of a device that lasts.
///
/// @param kind the kind of the events about it
/// @param since when it began
/// @param detail what the last of these events says
public record Trouble(UUID mdev, Event.Kind kind, Instant since, String detail) {}
