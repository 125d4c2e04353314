package dev.mdev.core.ledger;

/// A file that should be a definition and is not. It stays as it is until somebody repairs or
/// discards it.
///
/// @param file its name, or its alias if it has a name that no file of ours could have
/// @param reason what is wrong with it
public record QuarantinedDefinition(String file, String reason) {}
