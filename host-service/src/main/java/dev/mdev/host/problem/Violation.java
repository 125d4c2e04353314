package dev.mdev.host.problem;

/// One invalid part of a request.
///
/// @param pointer its place, as a JSON pointer (RFC 6901) into the body; the empty pointer is the
///   whole body
/// @param detail the error there
public record Violation(String pointer, String detail) {}
