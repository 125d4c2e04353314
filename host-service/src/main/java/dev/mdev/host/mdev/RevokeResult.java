package dev.mdev.host.mdev;

/// What a revocation did. Between the two counts guests may have faulted pages in again.
///
/// @param residentBefore pages of the whole device that were mapped before
/// @param residentAfter pages of the whole device that are mapped now
record RevokeResult(long residentBefore, long residentAfter) {}
