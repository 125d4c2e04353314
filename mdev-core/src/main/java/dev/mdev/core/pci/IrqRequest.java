package dev.mdev.core.pci;

import java.util.Collections;
import java.util.List;
import java.util.Optional;

/// A request to a device's interrupts: the argument of `VFIO_DEVICE_SET_IRQS`. This record checks
/// nothing: every value may come from a hostile VMM.
///
/// @param argszBytes size of the structure with its payload, unsigned 32 bits
/// @param flags one of the `DATA_` bits and one of the `ACTION_` bits
/// @param index the kind of interrupt: [#INTX] to [#REQUEST]
/// @param start the first vector, unsigned 32 bits
/// @param count vectors, unsigned 32 bits
/// @param bools the payload of [#DATA_BOOL]: the selected vectors
/// @param sinks the payload of [#DATA_EVENTFD]: the targets of the vectors; empty for -1
public record IrqRequest(
        long argszBytes,
        int flags,
        int index,
        long start,
        long count,
        List<Boolean> bools,
        List<Optional<InterruptSink>> sinks) {
    public static final int DATA_NONE = 1;
    public static final int DATA_BOOL = 1 << 1;
    public static final int DATA_EVENTFD = 1 << 2;
    public static final int ACTION_MASK = 1 << 3;
    public static final int ACTION_UNMASK = 1 << 4;
    public static final int ACTION_TRIGGER = 1 << 5;

    /// The legacy line.
    public static final int INTX = 0;

    public static final int MSI = 1;
    public static final int MSIX = 2;

    /// An error that the function cannot recover from; PCI Express only.
    public static final int ERROR = 3;

    /// The host wants the device back.
    public static final int REQUEST = 4;

    /// `sizeof(struct vfio_irq_set)` without its payload.
    static final int HEADER_BYTES = 20;

    static final int DATA_TYPES = DATA_NONE | DATA_BOOL | DATA_EVENTFD;
    static final int ACTIONS = ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER;

    public IrqRequest {
        bools = List.copyOf(bools);
        sinks = List.copyOf(sinks);
    }

    /// Binds vectors from `start` on to sinks, and enables the kind.
    public static IrqRequest bind(int index, int start, List<Optional<InterruptSink>> sinks) {
        return new IrqRequest(
                HEADER_BYTES + 4L * sinks.size(),
                DATA_EVENTFD | ACTION_TRIGGER,
                index,
                start,
                sinks.size(),
                List.of(),
                sinks);
    }

    /// Binds the first `count` vectors to one sink.
    public static IrqRequest bind(int index, int count, InterruptSink sink) {
        return bind(index, 0, Collections.nCopies(count, Optional.of(sink)));
    }

    /// Disables a kind of interrupt.
    public static IrqRequest disable(int index) {
        return withoutData(ACTION_TRIGGER, index, 0);
    }

    /// Masks, unmasks or fires the first `count` vectors.
    ///
    /// @param action one of the `ACTION_` bits
    public static IrqRequest withoutData(int action, int index, int count) {
        return new IrqRequest(
                HEADER_BYTES, DATA_NONE | action, index, 0, count, List.of(), List.of());
    }

    /// Whether the flags have exactly this action.
    boolean isAction(int action) {
        return (flags & ACTIONS) == action;
    }

    boolean has(int flag) {
        return (flags & flag) != 0;
    }
}
