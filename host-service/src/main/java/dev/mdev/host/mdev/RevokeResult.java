package dev.mdev.host.mdev;

/// The result of a revocation. Between the two counts guests may have faulted pages in again.
///
/// @param residentBefore mapped pages of the whole device before
/// @param residentAfter mapped pages of the whole device now
record RevokeResult(long residentBefore, long residentAfter) {}
