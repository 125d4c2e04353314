package dev.mdev.host.web;

import java.util.List;

/// A list, as a JSON object, so that more can be said of it later.
public record Items<T>(List<T> items) {}
