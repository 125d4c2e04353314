package dev.mdev.core.dirty;

import org.jspecify.annotations.Nullable;

/// Which vCPU the current thread acts for (Linux `kvm_get_running_vcpu`): from entering a call on a
/// vCPU (Linux `vcpu_load`) to leaving it. The machine's writes to guest memory in that time, such
/// as a clock that a vCPU's register sets up, count as that vCPU's.
final class DirtyRunningVcpu {
    /// A vCPU of a machine.
    ///
    /// @param machine the machine of the vCPU
    /// @param vcpuId its id
    record Loaded(DirtyRings machine, int vcpuId) {}

    private static final ThreadLocal<@Nullable Loaded> CURRENT = new ThreadLocal<>();

    private DirtyRunningVcpu() {}

    static @Nullable Loaded current() {
        return CURRENT.get();
    }

    /// Loads a vCPU.
    ///
    /// @return the previously loaded vCPU, for [#put]
    static @Nullable Loaded load(Loaded vcpu) {
        Loaded before = CURRENT.get();
        CURRENT.set(vcpu);
        return before;
    }

    static void put(@Nullable Loaded before) {
        if (before == null) {
            CURRENT.remove();
        } else {
            CURRENT.set(before);
        }
    }
}
