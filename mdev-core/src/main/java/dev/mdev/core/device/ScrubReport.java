package dev.mdev.core.device;

/// The result of scrubbing.
///
/// @param parent the parent's name
/// @param bytes bytes that were set to zero and read back
/// @param durationNanos how long it took
/// @param failedPages pages that did not read back as zero, or could not be accessed
public record ScrubReport(String parent, long bytes, long durationNanos, long failedPages) {}
