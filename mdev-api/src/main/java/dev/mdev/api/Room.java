package dev.mdev.api;

/// How many more devices of a type a parent takes, as it counts them itself.
///
/// @param devices at least 0
/// @param reason what is known about what limits it; one or two sentences, for people
public record Room(int devices, String reason) {}
