package dev.mdev.host.event;

import dev.mdev.host.problem.Setting;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

import java.time.Duration;

/// The operator's settings for events.
///
/// @param maxWatchers the maximum number of clients that wait for events
/// @param heartbeat how often a watcher hears something even if nothing happens
@ConfigurationProperties("mdev.events")
record EventProperties(
        @DefaultValue("1000") int maxWatchers, @DefaultValue("15s") Duration heartbeat) {
    EventProperties {
        Setting.require(maxWatchers >= 0, "mdev.events.max-watchers", maxWatchers);
        Setting.require(heartbeat.isPositive(), "mdev.events.heartbeat", heartbeat);
    }
}
