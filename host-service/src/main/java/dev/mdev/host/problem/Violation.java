package dev.mdev.host.problem;

/// One thing that is wrong with a request.
///
/// @param pointer where, as a JSON pointer (RFC 6901) into the body; the empty pointer is all of it
/// @param detail what is wrong there
public record Violation(String pointer, String detail) {}
