package dev.mdev.gate;

/// The formatting of this module.
final class OwnFormatTest extends FormatTest {}
