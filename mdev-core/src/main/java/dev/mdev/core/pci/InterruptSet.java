package dev.mdev.core.pci;

import static dev.mdev.core.pci.IrqRequest.ACTION_MASK;
import static dev.mdev.core.pci.IrqRequest.ACTION_TRIGGER;
import static dev.mdev.core.pci.IrqRequest.ACTION_UNMASK;
import static dev.mdev.core.pci.IrqRequest.DATA_BOOL;
import static dev.mdev.core.pci.IrqRequest.DATA_EVENTFD;
import static dev.mdev.core.pci.IrqRequest.DATA_NONE;
import static dev.mdev.core.pci.IrqRequest.ERROR;
import static dev.mdev.core.pci.IrqRequest.INTX;
import static dev.mdev.core.pci.IrqRequest.MSI;
import static dev.mdev.core.pci.IrqRequest.MSIX;
import static dev.mdev.core.pci.IrqRequest.REQUEST;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.util.Arrays;
import java.util.concurrent.locks.ReentrantLock;

/// The interrupts of one function as VFIO has them: the driver fires on one side, the owner of the
/// device binds sinks on the other (Linux `drivers/vfio/pci/vfio_pci_intrs.c`).
///
/// One of INTx, MSI and MSI-X is active at a time. The first binding activates it, and it must be
/// disabled before another. An interrupt of a vector without a sink is lost. The line is a level
/// with automatic masking: it signals once, stays quiet until it is unmasked, and then signals
/// again if it is still asserted. MSI and MSI-X vectors can be bound beyond the first binding, as
/// Linux allows where MSI-X is allocated dynamically.
///
/// All methods may be called by any thread, and do not block.
public final class InterruptSet implements Interrupts {
    private static final int KINDS = 5;
    private static final int NONE_ACTIVE = -1;
    private static final long U32_MAX = 0xffff_ffffL;

    private final int[] counts = new int[KINDS];
    private final ReentrantLock lock = new ReentrantLock();

    /// [IrqRequest#INTX], [IrqRequest#MSI], [IrqRequest#MSIX], or [#NONE_ACTIVE].
    @GuardedBy("lock")
    private int active = NONE_ACTIVE;

    /// The sinks of the active kind, by vector; and those of ERROR and REQUEST, which are
    /// independent of it.
    @GuardedBy("lock")
    private @Nullable InterruptSink[] sinks = new InterruptSink[0];

    @GuardedBy("lock")
    private final @Nullable InterruptSink[] single = new InterruptSink[KINDS];

    /// Whether the device asserts the line, regardless of masks.
    @GuardedBy("lock")
    private boolean line;

    @GuardedBy("lock")
    private boolean lineMasked;

    /// The guest's interrupt disable bit.
    @GuardedBy("lock")
    private boolean lineDisabled;

    /// @param express whether the function is PCI Express, and so can report errors
    public InterruptSet(IrqInfo irqs, boolean express) {
        counts[INTX] = irqs.intx() ? 1 : 0;
        counts[MSI] = irqs.msiVectors();
        counts[MSIX] = irqs.msixVectors();
        counts[ERROR] = express ? 1 : 0;
        counts[REQUEST] = 1;
    }

    /// The support for one kind of interrupt.
    ///
    /// @throws MdevException EINVAL for a kind that does not exist
    public IrqSupport support(int index) {
        if (index < 0 || index >= KINDS || (index == ERROR && counts[ERROR] == 0)) {
            throw invalid("no such kind of interrupt: index=%d".formatted(index));
        }
        int flags =
                switch (index) {
                    case INTX -> IrqSupport.MASKABLE | IrqSupport.AUTOMASKED;
                    case MSI, MSIX -> 0;
                    default -> IrqSupport.NORESIZE;
                };
        return new IrqSupport(IrqSupport.EVENTFD | flags, counts[index]);
    }

    /// Does what `VFIO_DEVICE_SET_IRQS` does. It accepts unmasking of the line by an eventfd: the
    /// caller must listen to it and request each unmasking.
    ///
    /// @throws MdevException EINVAL or ENOTTY as in Linux; nothing is changed then
    public void setIrqs(IrqRequest request) {
        validate(request);
        lock.lock();
        try {
            switch (request.index()) {
                case INTX -> setLineLocked(request);
                case MSI, MSIX -> setMessagesLocked(request);
                default -> setSingleLocked(request);
            }
        } finally {
            lock.unlock();
        }
    }

    /// The checks that all kinds share, in Linux's order (`vfio_set_irqs_validate_and_prepare`).
    private void validate(IrqRequest request) {
        int index = request.index();
        if (request.argszBytes() < IrqRequest.HEADER_BYTES
                || index < 0
                || index >= KINDS
                || request.count() >= U32_MAX - request.start()
                || request.has(~(IrqRequest.DATA_TYPES | IrqRequest.ACTIONS))) {
            throw invalid("malformed", request);
        }
        if (request.start() >= counts[index] || request.start() + request.count() > counts[index]) {
            throw invalid("no such vectors, there are " + counts[index], request);
        }
        int width =
                switch (request.flags() & IrqRequest.DATA_TYPES) {
                    case DATA_NONE -> 0;
                    case DATA_BOOL -> 1;
                    case DATA_EVENTFD -> Integer.BYTES;
                    default -> throw invalid("not one type of data", request);
                };
        if (request.argszBytes() - IrqRequest.HEADER_BYTES < request.count() * width) {
            throw invalid("payload is too short", request);
        }
        int given = width == 1 ? request.bools().size() : request.sinks().size();
        if (width != 0 && given < request.count()) {
            throw new IllegalArgumentException("payload does not fit argsz: " + request);
        }
    }

    @GuardedBy("lock")
    private void setLineLocked(IrqRequest request) {
        boolean isActive = active == INTX;
        boolean one = request.start() == 0 && request.count() == 1;
        if (request.isAction(ACTION_TRIGGER)) {
            if (isActive && request.count() == 0 && request.has(DATA_NONE)) {
                deactivateLocked();
            } else if (!one || (!isActive && active != NONE_ACTIVE)) {
                throw invalid("another kind of interrupt is active", request);
            } else if (request.has(DATA_EVENTFD)) {
                bindLineLocked(request.sinks().getFirst().orElse(null));
            } else if (!isActive) {
                throw invalid("not active", request);
            } else if (isMeant(request, 0) && !lineDisabled) {
                signalLocked(0);
            }
        } else if (request.isAction(ACTION_MASK) || request.isAction(ACTION_UNMASK)) {
            if (!isActive || !one) {
                throw invalid("not active", request);
            }
            maskLineLocked(request);
        } else {
            throw unsupported(request);
        }
    }

    @GuardedBy("lock")
    private void bindLineLocked(@Nullable InterruptSink sink) {
        if (active == NONE_ACTIVE) {
            active = INTX;
            sinks = new InterruptSink[1];
            lineMasked = lineDisabled;
        }
        sinks[0] = sink;
        fireLineLocked();
    }

    @GuardedBy("lock")
    private void maskLineLocked(IrqRequest request) {
        boolean mask = request.isAction(ACTION_MASK);
        if (request.has(DATA_EVENTFD)) {
            if (mask) {
                throw unsupported(request);
            }
        } else if (isMeant(request, 0)) {
            if (mask) {
                lineMasked = true;
            } else {
                unmaskLineLocked();
            }
        }
    }

    @GuardedBy("lock")
    private void unmaskLineLocked() {
        if (!lineDisabled) {
            lineMasked = false;
            fireLineLocked();
        }
    }

    @GuardedBy("lock")
    private void fireLineLocked() {
        if (line && active == INTX && !lineMasked && !lineDisabled && sinks[0] != null) {
            lineMasked = true;
            signalLocked(0);
        }
    }

    @GuardedBy("lock")
    private void setMessagesLocked(IrqRequest request) {
        if (!request.isAction(ACTION_TRIGGER)) {
            throw unsupported(request);
        }
        boolean isActive = active == request.index();
        if (isActive && request.count() == 0 && request.has(DATA_NONE)) {
            deactivateLocked();
            return;
        }
        if (!isActive && active != NONE_ACTIVE) {
            throw invalid("another kind of interrupt is active", request);
        }
        int start = (int) request.start();
        int end = start + (int) request.count();
        if (request.has(DATA_EVENTFD)) {
            if (!isActive && start == end) {
                throw new MdevException(Errno.ERANGE, "no vectors to enable: " + request);
            }
            active = request.index();
            if (end > sinks.length) {
                sinks = Arrays.copyOf(sinks, end);
            }
            for (int vector = start; vector < end; vector++) {
                sinks[vector] = request.sinks().get(vector - start).orElse(null);
            }
        } else if (!isActive) {
            throw invalid("not active", request);
        } else {
            for (int vector = start; vector < end; vector++) {
                if (isMeant(request, vector - start)) {
                    signalLocked(vector);
                }
            }
        }
    }

    @GuardedBy("lock")
    private void deactivateLocked() {
        active = NONE_ACTIVE;
        sinks = new InterruptSink[0];
        lineMasked = false;
    }

    /// Errors and requests (Linux `vfio_pci_set_ctx_trigger_single`).
    @GuardedBy("lock")
    private void setSingleLocked(IrqRequest request) {
        if (!request.isAction(ACTION_TRIGGER)) {
            throw unsupported(request);
        }
        int index = request.index();
        InterruptSink sink = single[index];
        boolean any = request.count() != 0;
        if (request.has(DATA_NONE) && sink != null) {
            if (any) {
                sink.signal();
            } else {
                single[index] = null;
            }
        } else if (request.has(DATA_NONE) || !any) {
            throw invalid("nothing is bound, or nothing is meant", request);
        } else if (request.has(DATA_EVENTFD)) {
            single[index] = request.sinks().getFirst().orElse(null);
        } else if (isMeant(request, 0) && sink != null) {
            sink.signal();
        }
    }

    private static boolean isMeant(IrqRequest request, int i) {
        return !request.has(DATA_BOOL) || request.bools().get(i);
    }

    @GuardedBy("lock")
    private void signalLocked(int vector) {
        InterruptSink sink = vector < sinks.length ? sinks[vector] : null;
        if (sink != null) {
            sink.signal();
        }
    }

    @Override
    public boolean isEnabled(Kind kind) {
        lock.lock();
        try {
            return switch (kind) {
                case LINE -> active == INTX && !lineDisabled;
                case MSI -> active == MSI;
                case MSIX -> active == MSIX;
            };
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void trigger(int vector) {
        if (vector < 0 || vector >= Math.max(counts[MSI], counts[MSIX])) {
            throw new IndexOutOfBoundsException("vector=" + vector);
        }
        lock.lock();
        try {
            if (active == MSI || active == MSIX) {
                signalLocked(vector);
            }
        } finally {
            lock.unlock();
        }
    }

    @Override
    public void setLine(boolean asserted) {
        lock.lock();
        try {
            line = asserted;
            fireLineLocked();
        } finally {
            lock.unlock();
        }
    }

    /// Signals that the host wants the device back.
    public void requestRelease() {
        lock.lock();
        try {
            InterruptSink sink = single[REQUEST];
            if (sink != null) {
                sink.signal();
            }
        } finally {
            lock.unlock();
        }
    }

    /// Whether the device asserts the line: the interrupt status bit of its configuration space.
    boolean isLineAsserted() {
        lock.lock();
        try {
            return line;
        } finally {
            lock.unlock();
        }
    }

    /// Whether the line is masked, by its own interrupt or on request.
    boolean isLineMasked() {
        lock.lock();
        try {
            return lineMasked;
        } finally {
            lock.unlock();
        }
    }

    /// Sets the line as it was in a saved function: an interrupt that the guest has not ended yet
    /// does not occur again.
    void restoreLine(boolean asserted, boolean masked) {
        lock.lock();
        try {
            line = asserted;
            lineMasked = masked || lineDisabled;
            fireLineLocked();
        } finally {
            lock.unlock();
        }
    }

    /// Follows the guest's interrupt disable bit. As in VFIO, setting it masks the line, and
    /// clearing it unmasks it.
    void setLineDisabled(boolean disabled) {
        lock.lock();
        try {
            if (disabled == lineDisabled) {
                return;
            }
            lineDisabled = disabled;
            if (disabled) {
                lineMasked = true;
            } else {
                unmaskLineLocked();
            }
        } finally {
            lock.unlock();
        }
    }

    /// The device was reset: the line is released. Bindings stay.
    void reset() {
        lock.lock();
        try {
            line = false;
            lineMasked = lineDisabled;
        } finally {
            lock.unlock();
        }
    }

    private static MdevException invalid(String why, IrqRequest request) {
        return invalid(why + ": " + request);
    }

    private static MdevException invalid(String message) {
        return new MdevException(Errno.EINVAL, message);
    }

    private static MdevException unsupported(IrqRequest request) {
        return new MdevException(Errno.ENOTTY, "not an action of this interrupt: " + request);
    }
}
