package dev.mdev.host.machine;

import dev.mdev.core.engine.barfile.BarFileOptions;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

import java.nio.file.Path;
import java.time.Duration;

/// The operator's settings for the machines of other programs.
///
/// @param socketDir the folder of the sockets; made at the first attachment if it does not exist
/// @param barFiles whether their guests map the pages of BARs, or send a message for each access
/// @param refusedPages what such a guest finds at a page that the driver refuses
/// @param socketSpin how long a connection's thread looks for the next request before it sleeps
@ConfigurationProperties("mdev")
record SocketProperties(
        @DefaultValue("/run/mdev-host") Path socketDir,
        @DefaultValue("auto") Bars barFiles,
        @DefaultValue("ones") BarFileOptions.Refused refusedPages,
        @DefaultValue("20us") Duration socketSpin) {
    /// When the host serves files of BARs.
    enum Bars {
        /// Where this machine can: a file system in user space, and the right to mount one.
        AUTO,
        /// Always: an attachment fails where it cannot.
        ON,
        /// Never: accesses are trapped.
        OFF
    }
}
