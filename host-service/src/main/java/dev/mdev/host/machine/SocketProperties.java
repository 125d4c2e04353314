package dev.mdev.host.machine;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

import java.nio.file.Path;
import java.time.Duration;

/// The operator's settings for the machines of other programs.
///
/// @param socketDir the folder of the sockets; made at the first attachment if it does not exist
/// @param socketSpin how long a connection's thread looks for the next request before it sleeps
@ConfigurationProperties("mdev")
record SocketProperties(
        @DefaultValue("/run/mdev-host") Path socketDir,
        @DefaultValue("20us") Duration socketSpin) {}
