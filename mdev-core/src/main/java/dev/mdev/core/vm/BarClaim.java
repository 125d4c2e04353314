package dev.mdev.core.vm;

import dev.mdev.core.pci.BarWindow;

/// A device's claim to the addresses of a window.
///
/// @param order counts up with each window that appears or moves
record BarClaim(AttachedDevice device, BarWindow window, long order) {
    boolean isSameWindow(AttachedDevice other, BarWindow otherWindow) {
        return device == other && window.equals(otherWindow);
    }

    boolean isSameRegion(BarClaim other) {
        return device == other.device && window.region() == other.window.region();
    }
}
