package dev.mdev.core.vm;

import dev.mdev.api.MdevException;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRing;
import dev.mdev.core.engine.GuestEngine;

/// Which capabilities of the engine the modes of a dirty log need.
final class DirtyTracking {
    private DirtyTracking() {}

    /// Checks that rings are not too late, and that a machine with rings keeps them.
    ///
    /// @throws MdevException EBUSY if so
    static void requirePossible(DirtyModes modes, DirtyLogMode wanted) {
        if (!modes.usesRing()) {
            if (wanted instanceof DirtyLogMode.Ring && modes.isVcpuCreated()) {
                throw MachineDirtyLog.busy(
                        "too late for dirty rings: the machine has run a program");
            }
        } else if (!wanted.equals(plainMode(modes))) {
            throw MachineDirtyLog.busy(
                    "the machine has dirty rings (%s), so no bitmaps and no other rings"
                            .formatted(plainMode(modes)));
        }
    }

    /// The mode that a machine can have at any time.
    static DirtyLogMode plainMode(DirtyModes modes) {
        return modes.usesRing()
                ? new DirtyLogMode.Ring(modes.ringSizeBytes() / DirtyRing.ENTRY_BYTES)
                : new DirtyLogMode.Bitmap();
    }

    /// Enables what a mode needs.
    ///
    /// @throws MdevException EINVAL or E2BIG for an impossible size of rings
    static void enable(GuestEngine engine, DirtyLogMode wanted) {
        switch (wanted) {
            case DirtyLogMode.Off _ -> {}
            case DirtyLogMode.Bitmap _ -> enableManualProtect(engine, 0);
            case DirtyLogMode.ManualProtect manual ->
                    enableManualProtect(engine, manual.optionBits());
            case DirtyLogMode.Ring ring -> {
                if (!engine.dirtyModes().usesRing()) {
                    engine.enableDirtyTracking(
                            DirtyModes.RING, 0, (long) ring.entries() * DirtyRing.ENTRY_BYTES);
                }
            }
        }
    }

    private static void enableManualProtect(GuestEngine engine, int optionBits) {
        engine.enableDirtyTracking(DirtyModes.MANUAL_PROTECT2, 0, optionBits);
    }
}
