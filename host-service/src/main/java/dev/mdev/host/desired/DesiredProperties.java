package dev.mdev.host.desired;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;

import java.nio.file.Path;

/// Where the documents of the start are.
///
/// @param dir a folder of documents, which are applied at the start in the order of their names;
///   none if absent
@ConfigurationProperties("mdev.desired")
record DesiredProperties(@Nullable Path dir) {}
