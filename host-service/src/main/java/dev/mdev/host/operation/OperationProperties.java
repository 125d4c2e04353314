package dev.mdev.host.operation;

import dev.mdev.host.problem.Setting;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

import java.time.Duration;

/// The operator's settings for operations.
///
/// @param maxRunning the maximum number that run
/// @param maxRunningOfTenant the maximum number that run for one tenant
/// @param keep how long one is kept after its end
@ConfigurationProperties("mdev.operations")
record OperationProperties(
        @DefaultValue("64") int maxRunning,
        @DefaultValue("16") int maxRunningOfTenant,
        @DefaultValue("1h") Duration keep) {
    private static final int MOST = 1000;

    OperationProperties {
        Setting.require(
                maxRunning >= 0 && maxRunning <= MOST, "mdev.operations.max-running", maxRunning);
        Setting.require(
                maxRunningOfTenant >= 0 && maxRunningOfTenant <= MOST,
                "mdev.operations.max-running-of-tenant",
                maxRunningOfTenant);
        Setting.require(keep.isPositive(), "mdev.operations.keep", keep);
    }
}
