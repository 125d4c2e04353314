package dev.mdev.host.machine;

import dev.mdev.api.Interrupts;
import dev.mdev.core.pci.Interrupt;
import dev.mdev.core.pci.InterruptState;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.DeviceInterrupts;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Locale;
import java.util.UUID;

/// The interrupts of a device in a machine, as clients see them.
///
/// @param enabled the kind that the guest uses: `line`, `msi` or `msix`; absent if it uses none
/// @param vectors of MSI or MSI-X
record InterruptsView(UUID mdev, @Nullable String enabled, Line line, List<Vector> vectors) {
    /// The legacy line.
    ///
    /// @param count how often it interrupted since the machine has the device
    record Line(boolean asserted, long count) {}

    /// A vector of messages.
    ///
    /// @param pending whether it waits until the guest lets it through
    /// @param count messages that were sent since the machine has the device
    /// @param gpa where the last one was written to; absent if there was none
    /// @param data what was written
    record Vector(
            int vector,
            boolean masked,
            boolean pending,
            long count,
            @Nullable U64 gpa,
            @Nullable U64 data) {}

    static InterruptsView of(AttachedDevice device) {
        InterruptState state = device.function().interruptState();
        DeviceInterrupts sent = device.interrupts();
        return new InterruptsView(
                device.mdev().uuid(),
                state.enabled().map(InterruptsView::nameOf).orElse(null),
                new Line(state.lineAsserted(), sent.lineCount()),
                state.vectors().stream().map(vector -> vector(vector, sent)).toList());
    }

    private static String nameOf(Interrupts.Kind kind) {
        return kind.name().toLowerCase(Locale.ROOT);
    }

    private static Vector vector(InterruptState.Vector state, DeviceInterrupts sent) {
        Interrupt.Message last = sent.lastMessage(state.vector()).orElse(null);
        return new Vector(
                state.vector(),
                state.masked(),
                state.pending(),
                sent.count(state.vector()),
                last == null ? null : new U64(last.address()),
                last == null ? null : new U64(Integer.toUnsignedLong(last.data())));
    }
}
