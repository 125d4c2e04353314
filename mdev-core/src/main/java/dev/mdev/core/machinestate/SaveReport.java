package dev.mdev.core.machinestate;

/// How a machine was saved.
///
/// @param rounds how often pages were copied while the guest ran; the first time all of them
/// @param pages copied pages of RAM that were not zero, with repetitions
/// @param stoppedPages pages of RAM that were copied while the guest stood still
/// @param stopNanos how long the guest stood still
public record SaveReport(int rounds, long pages, long stoppedPages, long stopNanos) {}
