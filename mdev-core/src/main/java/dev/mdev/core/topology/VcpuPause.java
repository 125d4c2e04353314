package dev.mdev.core.topology;

/// Holds the vCPUs of a machine out of the guest while slots change.
public interface VcpuPause {
    /// Returns when no vCPU runs guest code or accesses guest memory on a guest's behalf. They stay
    /// out until the result is closed. The caller must not be a vCPU inside a guest access.
    Hold hold();

    /// While open, no vCPU runs.
    interface Hold extends AutoCloseable {
        /// Lets the vCPUs run again.
        @Override
        void close();
    }
}
