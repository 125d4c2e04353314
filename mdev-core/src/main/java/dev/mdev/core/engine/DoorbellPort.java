package dev.mdev.core.engine;

/// A place in a guest's memory where a store rings a doorbell of a device.
///
/// @param gpa the first address
/// @param widthBytes the store's width: 1, 2, 4 or 8
/// @param ring rings; never blocks
public record DoorbellPort(long gpa, int widthBytes, Runnable ring) {}
