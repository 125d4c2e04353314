package dev.mdev.host.web;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.time.Duration;
import java.util.List;

/// The operator's settings for the web layer.
///
/// @param maxBody the largest body of a request
/// @param maxState the largest device state that a client can restore
/// @param maxTransfer the maximum time of a transfer of a device's state
/// @param allowedOrigins the origins of other servers whose pages may change something, as
///   `http(s)://host[:port]`
@ConfigurationProperties("mdev.web")
record WebProperties(
        @DefaultValue("1MB") DataSize maxBody,
        @DefaultValue("64GB") DataSize maxState,
        @DefaultValue("10m") Duration maxTransfer,
        @DefaultValue List<String> allowedOrigins) {}
