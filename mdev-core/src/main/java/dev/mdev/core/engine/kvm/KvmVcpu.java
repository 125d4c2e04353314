package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.Refusal;
import dev.mdev.api.page.Access;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.stub.RowPlanner;
import dev.mdev.core.engine.kvm.stub.SplitAccess;
import dev.mdev.core.engine.kvm.stub.StubRow;
import dev.mdev.core.engine.kvm.stub.StubVcpu;

import org.jspecify.annotations.Nullable;

/// A virtual processor of the kernel that executes guest accesses.
///
/// A submitted access is split into rows that the guest's program takes at once: for loads as many
/// as its mailbox holds values, for both kinds as many as reach a bounded part of guest-physical
/// memory. The thread that first calls [#run] becomes the processor's own.
final class KvmVcpu implements VcpuEngine {
    private static final GuestAccess NOTHING =
            new GuestAccess.Store(new GuestAccess.Span(0, 1, 0, 0), 0, 0);

    private final StubVcpu stub;
    private final VcpuThread thread;
    private final GuestFaults faults;
    private final KvmRunLoop runner;
    private final RowPlanner planner;
    private final KvmSmm smm;
    private final VcpuRegistry registry;
    private final Runnable leaveRing;

    private GuestAccess access = NOTHING;
    private long completed;

    /// Whether the program has a row to continue, and the row's first access.
    private boolean rowActive;

    private long rowFirst;

    /// Values of the row that were passed on.
    private long delivered;

    /// The access that is done in parts, or null.
    private @Nullable SplitAccess split;

    private Pending pending = Pending.NONE;
    private long answer;

    /// The source of the MMIO exit that [#run] returned last.
    private enum Pending {
        NONE,
        /// The kernel: it continues with the value in its `struct kvm_run`.
        KERNEL,
        /// The current access as a whole.
        WHOLE,
        /// A part of the current access.
        PART
    }

    /// All parts of a processor.
    ///
    /// @param leaveRing called before the memory of its dirty ring ends
    record Parts(
            StubVcpu stub,
            VcpuThread thread,
            GuestFaults faults,
            KvmRunLoop runner,
            RowPlanner planner,
            KvmSmm smm,
            Runnable leaveRing) {}

    KvmVcpu(Parts parts, VcpuRegistry registry) {
        this.stub = parts.stub;
        this.thread = parts.thread;
        this.faults = parts.faults;
        this.runner = parts.runner;
        this.planner = parts.planner;
        this.smm = parts.smm;
        this.leaveRing = parts.leaveRing;
        this.registry = registry;
    }

    @Override
    public void submit(GuestAccess next) {
        access = next;
        completed = 0;
        rowActive = false;
        split = null;
        pending = Pending.NONE;
    }

    @Override
    public long completed() {
        return completed;
    }

    @Override
    public void kick() {
        runner.kick();
    }

    @Override
    public VcpuExit smi() {
        bind();
        submit(NOTHING);
        return smm.smi();
    }

    @Override
    public VcpuExit rsm() {
        bind();
        submit(NOTHING);
        return smm.rsm();
    }

    @Override
    public boolean isInSmm() {
        return smm.isInSmm();
    }

    @Override
    public int asId() {
        return smm.asId();
    }

    @Override
    public void setSmbase(long smbase) {
        smm.setSmbase(smbase);
    }

    @Override
    public long smbase() {
        return smm.smbase();
    }

    @Override
    public boolean isSmiWaiting() {
        return smm.isWaiting();
    }

    @Override
    public VcpuExit run() {
        bind();
        VcpuExit delivered = smm.deliver();
        if (!(delivered instanceof VcpuExit.Done)) {
            return delivered;
        }
        finishAnswered();
        while (true) {
            SplitAccess current = split;
            if (current != null) {
                VcpuExit exit = stepSplit(current);
                if (exit != null) {
                    return exit;
                }
                continue;
            }
            if (!rowActive) {
                if (completed == access.span().count()) {
                    return new VcpuExit.Done();
                }
                VcpuExit exit = startRow();
                if (exit != null) {
                    return exit;
                }
            }
            VcpuExit exit = afterStop(runner.run());
            if (exit != null) {
                return exit;
            }
        }
    }

    private void bind() {
        if (thread.tid() == 0) {
            thread.bind(stub.fd());
            registry.add(thread.tid(), runner);
        } else {
            thread.bind(stub.fd());
        }
    }

    /// Continues after an MMIO exit that did not come from the kernel.
    private void finishAnswered() {
        switch (pending) {
            case NONE, KERNEL -> {}
            case WHOLE -> accessDone(answer);
            case PART -> {
                SplitAccess current = split;
                if (current != null && access.access() == Access.READ) {
                    current.completeRead(answer);
                }
            }
        }
        pending = Pending.NONE;
    }

    private @Nullable VcpuExit startRow() {
        GuestAccess.Span span = access.span();
        long gpa = span.gpaAt(completed);
        if (!planner.isReachable(gpa, span.widthBytes())) {
            return unreachable(gpa);
        }
        StubRow row = planner.rowAt(access, completed);
        runner.start(row);
        rowActive = true;
        rowFirst = completed;
        delivered = 0;
        return null;
    }

    /// The guest's page tables cannot name the address; a processor with so few address bits could
    /// not either. The kernel may still have a slot there.
    private VcpuExit unreachable(long gpa) {
        if (faults.hasSlot(gpa)) {
            return new VcpuExit.Fault(
                    gpa,
                    access.access(),
                    new Refusal(
                            Errno.EFAULT,
                            "beyond what guests of this engine can address: limitGpa=0x%x"
                                    .formatted(planner.limitGpa())));
        }
        return wholeAsMmio(gpa);
    }

    private @Nullable VcpuExit afterStop(RunLoopExit stop) {
        return switch (stop) {
            case RunLoopExit.Finished _ -> {
                progress(stub.row().count());
                rowActive = false;
                yield null;
            }
            case RunLoopExit.Mmio mmio -> {
                progress(mmio.index());
                pending = Pending.KERNEL;
                yield kernelMmio();
            }
            case RunLoopExit.Trapped trapped -> {
                progress(trapped.index());
                rowActive = false;
                yield trap();
            }
            case RunLoopExit.Failed failed -> {
                progress(failed.index());
                rowActive = false;
                yield new VcpuExit.Fault(failed.gpa(), access.access(), failed.refusal());
            }
            case RunLoopExit.Again again -> {
                progress(again.index());
                rowActive = false;
                yield null;
            }
            case RunLoopExit.Interrupted interrupted -> {
                progress(interrupted.index());
                rowActive = false;
                yield new VcpuExit.Interrupted();
            }
            case RunLoopExit.RingFull full -> {
                progress(full.done());
                yield new VcpuExit.DirtyRingFull();
            }
            case RunLoopExit.Kicked kicked -> {
                progress(kicked.done());
                yield new VcpuExit.Interrupted();
            }
        };
    }

    /// Accesses of the row up to `done` are complete: passes on their loaded values.
    private void progress(long done) {
        if (access instanceof GuestAccess.Load load) {
            for (; delivered < done; delivered++) {
                load.sink().accept(rowFirst + delivered, stub.value(delivered));
            }
        }
        completed = rowFirst + done;
    }

    private VcpuExit kernelMmio() {
        return stub.isMmioWrite()
                ? new VcpuExit.MmioWrite(stub.mmioGpa(), stub.mmioWidthBytes(), stub.mmioValue())
                : new VcpuExit.MmioRead(stub.mmioGpa(), stub.mmioWidthBytes());
    }

    /// The owner of the memory serves the current access, or a part of it.
    private @Nullable VcpuExit trap() {
        GuestAccess.Span span = access.span();
        long gpa = span.gpaAt(completed);
        if (!SplitAccess.isNeeded(gpa, span.widthBytes())) {
            return wholeAsMmio(gpa);
        }
        split = new SplitAccess(access.access(), gpa, span.widthBytes(), storedValue());
        return null;
    }

    private VcpuExit wholeAsMmio(long gpa) {
        int width = access.span().widthBytes();
        pending = Pending.WHOLE;
        int unused = Long.SIZE - width * Byte.SIZE;
        return switch (access) {
            case GuestAccess.Load _ -> new VcpuExit.MmioRead(gpa, width);
            case GuestAccess.Store _ ->
                    new VcpuExit.MmioWrite(gpa, width, storedValue() << unused >>> unused);
        };
    }

    private long storedValue() {
        return switch (access) {
            case GuestAccess.Load _ -> 0;
            case GuestAccess.Store store -> store.valueAt(completed);
        };
    }

    /// The current access completes without the program.
    private void accessDone(long loaded) {
        if (access instanceof GuestAccess.Load load) {
            int unused = Long.SIZE - load.span().widthBytes() * Byte.SIZE;
            load.sink().accept(completed, loaded << unused >>> unused);
        }
        completed++;
        split = null;
    }

    private @Nullable VcpuExit stepSplit(SplitAccess current) {
        while (current.hasByte()) {
            StubRow row = current.byteRow();
            planner.makeVisible(row);
            runner.start(row);
            switch (runner.run()) {
                case RunLoopExit.Finished _ -> current.byteDone(stub.value(0));
                case RunLoopExit.Mmio _, RunLoopExit.Trapped _ -> current.partIsMmio();
                case RunLoopExit.Again _ -> {}
                case RunLoopExit.Failed failed -> {
                    return new VcpuExit.Fault(failed.gpa(), access.access(), failed.refusal());
                }
                case RunLoopExit.RingFull _ -> {
                    return new VcpuExit.DirtyRingFull();
                }
                case RunLoopExit.Kicked _, RunLoopExit.Interrupted _ -> {
                    return new VcpuExit.Interrupted();
                }
            }
        }
        if (current.nextMmio()) {
            pending = Pending.PART;
            return current.mmioExit();
        }
        accessDone(current.value());
        return null;
    }

    @Override
    public void completeMmioRead(long value) {
        switch (pending) {
            case NONE -> throw new IllegalStateException("no load waits for a value");
            case KERNEL -> stub.setMmioValue(value);
            case WHOLE, PART -> answer = value;
        }
    }

    @Override
    public void close() {
        if (thread.tid() != 0) {
            registry.remove(thread.tid());
        }
        thread.close();
        try {
            leaveRing.run();
        } finally {
            stub.close();
        }
    }
}
