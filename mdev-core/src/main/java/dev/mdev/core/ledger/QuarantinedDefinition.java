package dev.mdev.core.ledger;

/// A damaged definition file. It stays unchanged until an operator repairs or deletes it.
///
/// @param file its name, or its alias if its name is invalid
/// @param reason the damage
public record QuarantinedDefinition(String file, String reason) {}
