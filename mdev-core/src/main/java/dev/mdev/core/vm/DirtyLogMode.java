package dev.mdev.core.vm;

import dev.mdev.core.dirty.DirtyModes;

/// How a machine logs the writes to its memory.
public sealed interface DirtyLogMode {
    /// There is no log.
    record Off() implements DirtyLogMode {
        @Override
        public String toString() {
            return "mode=off";
        }
    }

    /// A bitmap for each slot (`KVM_GET_DIRTY_LOG`).
    record Bitmap() implements DirtyLogMode {
        @Override
        public String toString() {
            return "mode=bitmap";
        }
    }

    /// A bitmap for each slot that only an explicit request clears, in parts if wanted
    /// (`KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`).
    ///
    /// @param initiallySet whether a log begins with all pages dirty and none protected
    record ManualProtect(boolean initiallySet) implements DirtyLogMode {
        int optionBits() {
            return initiallySet
                    ? DirtyModes.MANUAL_ENABLE | DirtyModes.INITIALLY_SET
                    : DirtyModes.MANUAL_ENABLE;
        }

        @Override
        public String toString() {
            return "mode=manual initiallySet=" + initiallySet;
        }
    }

    /// A ring for each virtual processor (`KVM_CAP_DIRTY_LOG_RING`).
    ///
    /// @param entries of each ring: a power of two, 256 to 65536
    record Ring(int entries) implements DirtyLogMode {
        @Override
        public String toString() {
            return "mode=ring entries=" + entries;
        }
    }
}
