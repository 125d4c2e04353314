package dev.mdev.core.driver;

/// Work of the host's own in a device's turn, before a call of the driver.
///
/// @param what for messages, such as `host clears pages`
public record HostsWork(String what, Runnable body) {}
