package dev.mdev.host.access;

import dev.mdev.host.problem.Setting;

import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.util.unit.DataSize;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// The operator's settings for who may do what.
///
/// @param authentication whether callers need credentials
/// @param adminTokenFile a file with a token of an administrator, which the service does not store;
///   for a service without a socket to make the first token on
/// @param hosts further names of this service that a request without credentials may have in `Host`
/// @param certificates what the holders of client certificates may do, by common name
/// @param tenants the quotas of tenants, by name
/// @param socket the Unix socket
/// @param requestsPerSecond the most requests of each caller
/// @param auditSize the size of the audit log, from which its oldest records go
/// @param jwt how tokens of an identity provider are understood
@ConfigurationProperties("mdev.access")
record AccessProperties(
        @DefaultValue("auto") Authentication authentication,
        @Nullable Path adminTokenFile,
        @DefaultValue List<String> hosts,
        @Nullable Map<String, Grant> certificates,
        @DefaultValue Jwt jwt,
        @Nullable Map<String, Quota> tenants,
        @DefaultValue("16MB") DataSize auditSize,
        @DefaultValue Socket socket,
        @DefaultValue("200") int requestsPerSecond) {
    AccessProperties {
        Setting.require(
                requestsPerSecond > 0, "mdev.access.requests-per-second", requestsPerSecond);
        Setting.require(
                auditSize.toMegabytes() >= 2 && auditSize.toMegabytes() <= 4096,
                "mdev.access.audit-size",
                auditSize);
    }

    /// Whether callers need credentials.
    enum Authentication {
        /// As soon as there are any: a token was made, or other credentials are configured.
        AUTO,
        /// Always. The first token is made on the socket.
        REQUIRED,
        /// Never: all who reach the service have the power of its operator.
        NONE
    }

    /// The Unix socket for callers of this machine.
    ///
    /// @param path its file; `auto` for `mdev.sock` in `mdev.socket-dir`, if that can be used, or
    ///   `none`
    /// @param mode its mode, as four octal digits
    /// @param group its group, if not that of the service
    record Socket(
            @DefaultValue("auto") String path,
            @DefaultValue("0600") String mode,
            @Nullable String group) {
        Socket {
            Setting.require(mode.matches("0[0-7]{3}"), "mdev.access.socket.mode", mode);
        }

        /// The mode, as `ls` shows it.
        String permissions() {
            StringBuilder text = new StringBuilder();
            for (char digit : mode.substring(1).toCharArray()) {
                int bits = digit - '0';
                text.append((bits & 4) != 0 ? 'r' : '-')
                        .append((bits & 2) != 0 ? 'w' : '-')
                        .append((bits & 1) != 0 ? 'x' : '-');
            }
            return text.toString();
        }
    }

    /// What a caller may do.
    record Grant(
            Role role,
            @Nullable String tenant,
            @DefaultValue Set<String> parents,
            @DefaultValue Set<String> machines) {
        Reach reach() {
            return new Reach(tenant, parents, machines);
        }
    }

    /// The claims of a token of an identity provider.
    ///
    /// @param roleClaim the claim with the role: a list, or words separated by blanks.
    ///   `mdev:viewer`, `mdev:operator` and `mdev:admin` count
    /// @param tenantClaim the claim with the tenant; if absent, such callers have no tenant
    record Jwt(@DefaultValue("scope") String roleClaim, @Nullable String tenantClaim) {}

    Map<String, Quota> tenantQuotas() {
        return tenants == null ? Map.of() : tenants;
    }

    Map<String, Grant> certificateGrants() {
        return certificates == null ? Map.of() : certificates;
    }
}
