package dev.mdev.host.web;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.time.Duration;
import java.util.List;

/// What the operator may set of the web layer.
///
/// @param maxBody the largest body of a request
/// @param maxState the largest state of a device that is restored
/// @param maxTransfer the longest that a device's state may be on its way
/// @param allowedOrigins pages of which other servers may change something, as
///   `http(s)://host[:port]`
@ConfigurationProperties("mdev.web")
record WebProperties(
        @DefaultValue("1MB") DataSize maxBody,
        @DefaultValue("64GB") DataSize maxState,
        @DefaultValue("10m") Duration maxTransfer,
        @DefaultValue List<String> allowedOrigins) {}
