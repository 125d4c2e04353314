package dev.mdev.host.web;

import dev.mdev.host.problem.Setting;

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
        @DefaultValue List<String> allowedOrigins) {
    WebProperties {
        Setting.require(!maxBody.isNegative(), "mdev.web.max-body", maxBody);
        Setting.require(!maxState.isNegative(), "mdev.web.max-state", maxState);
        Setting.require(maxTransfer.isPositive(), "mdev.web.max-transfer", maxTransfer);
    }
}
