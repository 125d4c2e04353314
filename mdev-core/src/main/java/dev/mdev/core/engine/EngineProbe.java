package dev.mdev.core.engine;

import java.util.List;

/// What an engine needs of this machine, and what of it is there.
///
/// @param findings each need, in the order to look at them
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
    /// @param met whether it is so here
    /// @param detail what was found
    /// @param remedy what to do about it if it is not met; else empty
    public record Finding(String need, boolean met, String detail, String remedy) {}
}
