package dev.mdev.core.engine;

import java.util.List;

/// The needs of an engine, and whether this machine meets them.
///
/// @param findings each need, in the order of the checks
public record EngineProbe(List<Finding> findings) {
    public EngineProbe {
        findings = List.copyOf(findings);
    }

    /// Whether every need is met.
    public boolean isAvailable() {
        return findings.stream().allMatch(Finding::met);
    }

    /// One need.
    ///
    /// @param need what is needed, such as `/dev/kvm can be opened`
    /// @param met whether this machine meets it
    /// @param detail what was found
    /// @param remedy what to do if it is not met; otherwise empty
    public record Finding(String need, boolean met, String detail, String remedy) {}
}
