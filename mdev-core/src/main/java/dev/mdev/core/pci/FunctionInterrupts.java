package dev.mdev.core.pci;

import static dev.mdev.core.pci.IrqRequest.INTX;
import static dev.mdev.core.pci.IrqRequest.MSI;
import static dev.mdev.core.pci.IrqRequest.MSIX;
import static dev.mdev.core.pci.IrqRequest.REQUEST;

import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/// The interrupts of one function between its driver and its configuration space: the vectors with
/// their masks, and their binding.
///
/// In a machine that emulates MSI and MSI-X itself, this binds the kind of interrupt that the guest
/// chose in configuration space, as QEMU does between a guest and VFIO. Where another owner binds
/// the interrupts by [InterruptSet#setIrqs], configuration space binds nothing.
///
/// Changed under the lock of the function's [PciConfigSpace].
final class FunctionInterrupts {
    private static final int NOTHING = -1;

    private final InterruptSet set;
    private final boolean hasLine;
    private final @Nullable MsiVectors msi;
    private final @Nullable MsixTable msix;
    private final @Nullable InterruptObserver observer;
    private int bound = NOTHING;

    /// @param observer receives interrupts; null if another owner binds them
    FunctionInterrupts(IrqInfo irqs, boolean express, @Nullable InterruptObserver observer) {
        this.observer = observer;
        this.hasLine = irqs.intx();
        set = new InterruptSet(irqs, express);
        InterruptObserver out = observer == null ? _ -> {} : observer;
        msi = irqs.msiVectors() == 0 ? null : new MsiVectors(irqs.msiVectors(), out);
        msix = irqs.msixVectors() == 0 ? null : new MsixTable(irqs.msixVectors(), out);
        if (observer != null) {
            set.setIrqs(
                    IrqRequest.bind(
                            REQUEST,
                            1,
                            () -> observer.interrupted(new Interrupt.ReleaseRequest())));
        }
    }

    /// The interrupt settings in configuration space.
    ///
    /// @param lineDisabled whether the line must stay quiet
    /// @param mayMaster whether messages, which are memory writes, can be sent; otherwise vectors
    ///   stay pending
    /// @param functionMasked whether all MSI-X vectors are masked at once
    record Control(
            boolean lineDisabled,
            boolean mayMaster,
            boolean msiEnabled,
            boolean msixEnabled,
            boolean functionMasked) {}

    InterruptSet set() {
        return set;
    }

    @Nullable MsiVectors msi() {
        return msi;
    }

    @Nullable MsixTable msix() {
        return msix;
    }

    boolean isLineAsserted() {
        return set.isLineAsserted();
    }

    void follow(Control control) {
        set.setLineDisabled(control.lineDisabled);
        if (msi != null) {
            msi.setOpen(control.msiEnabled && control.mayMaster);
        }
        if (msix != null) {
            msix.setOpen(control.msixEnabled && !control.functionMasked && control.mayMaster);
        }
        InterruptObserver out = observer;
        if (out != null) {
            bindAs(wanted(control), out);
        }
    }

    /// The kind of interrupt that the guest chose. If it enabled both kinds of messages, which the
    /// specification leaves undefined, it gets MSI-X.
    private int wanted(Control control) {
        if (control.msixEnabled) {
            return MSIX;
        }
        if (control.msiEnabled) {
            return MSI;
        }
        return hasLine ? INTX : NOTHING;
    }

    private void bindAs(int wanted, InterruptObserver out) {
        if (wanted == bound) {
            return;
        }
        if (bound != NOTHING) {
            set.setIrqs(IrqRequest.disable(bound));
        }
        bound = wanted;
        if (wanted == INTX) {
            set.setIrqs(IrqRequest.bind(INTX, 1, () -> out.interrupted(new Interrupt.Line())));
        } else if (wanted == MSI && msi != null) {
            bindVectors(MSI, msi);
        } else if (wanted == MSIX && msix != null) {
            bindVectors(MSIX, msix);
        }
    }

    private void bindVectors(int index, MessageVectors vectors) {
        set.setIrqs(
                IrqRequest.bind(
                        index,
                        0,
                        IntStream.range(0, vectors.count())
                                .mapToObj(vector ->
                                        Optional.<InterruptSink>of(() -> vectors.fire(vector)))
                                .toList()));
    }

    /// What is so now.
    InterruptState state() {
        Optional<Interrupts.Kind> enabled =
                Arrays.stream(Interrupts.Kind.values()).filter(set::isEnabled).findFirst();
        MessageVectors vectors = msix == null ? msi : msix;
        if (msi != null && enabled.filter(kind -> kind == Interrupts.Kind.MSI).isPresent()) {
            vectors = msi;
        }
        return new InterruptState(
                enabled, set.isLineAsserted(), vectors == null ? List.of() : vectors.states());
    }

    /// What the guest set up, and what is pending.
    ///
    /// @param kind of the function's registers
    /// @param config their content
    FunctionState save(int kind, byte[] config) {
        return new FunctionState(
                kind,
                config,
                msix == null ? new byte[0] : msix.save(),
                msi == null ? new BitSet() : msi.pendingVectors(),
                msix == null ? new BitSet() : msix.pendingVectors(),
                set.isLineAsserted(),
                set.isLineMasked());
    }

    /// Whether a state has vectors as this function.
    boolean fits(FunctionState state) {
        return state.msiPending().length() <= (msi == null ? 0 : msi.count())
                && state.msixPending().length() <= (msix == null ? 0 : msix.count());
    }

    /// Restores the vectors, before configuration space turns them on.
    ///
    /// @return false if the table is that of another function
    boolean restoreVectors(FunctionState state) {
        if (msi != null) {
            msi.restorePending(state.msiPending());
        }
        if (msix == null) {
            return state.table().length == 0;
        }
        msix.restorePending(state.msixPending());
        return msix.restore(state.table());
    }

    /// Restores the line, after configuration space.
    void restoreLine(FunctionState state) {
        set.restoreLine(state.line(), state.lineMasked());
    }

    void reset() {
        set.reset();
        if (msi != null) {
            msi.reset();
        }
        if (msix != null) {
            msix.reset();
        }
    }
}
