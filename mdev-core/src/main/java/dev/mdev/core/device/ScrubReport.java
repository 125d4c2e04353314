package dev.mdev.core.device;

/// A scrubbing of pages.
///
/// @param parent the parent's name
/// @param bytes bytes that were set to zero and read back
/// @param durationNanos how long it took
/// @param failedPages pages that did not read back as zero, or could not be accessed
public record ScrubReport(String parent, long bytes, long durationNanos, long failedPages) {}
