package dev.mdev.host.web;

import java.util.List;

/// A list, as a JSON object, so that fields can be added later.
public record Items<T>(List<T> items) {}
