package dev.mdev.example;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.api.register.RegisterFile;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/// One accelerator: a guest stores an address and a length, then 1 to CONTROL, and is interrupted
/// when the 64-bit FNV-1a hash of that memory is in the result page and behind the address in
/// TARGET.
///
/// Callbacks and the worker's thread share the state under one lock. The worker copies guest memory
/// in steps of a page, without the lock and through [MdevContext#runStep], so that the host keeps
/// it out where the device is to stand still. Only a device with a holder has a worker.
final class Accelerator implements MdevDevice, DeviceState {
    static final int REGISTERS = 0;
    static final int RESULT = 2;

    static final int SOURCE = 0x00;
    static final int LENGTH = 0x08;
    static final int CONTROL = 0x0C;
    static final int TARGET = 0x10;
    static final int STATUS = 0x18;
    static final int HASH = 0x20;
    static final int DONE_BYTES = 0x28;

    static final int STATUS_DONE = 1;
    static final int STATUS_FAULT = 2;

    private static final long RETRY_NANOS = 100_000;

    private static final long FNV_OFFSET = 0xCBF2_9CE4_8422_2325L;
    private static final long FNV_PRIME = 0x100_0000_01B3L;

    private final MdevContext context;
    private final ShareMemory result;

    @GuardedBy("this")
    private final RegisterFile registers =
            new RegisterFile()
                    .plain(SOURCE, 8, -1)
                    .plain(LENGTH, 4, 0xFFFF_FFFFL)
                    .plain(CONTROL, 4, 1)
                    .plain(TARGET, 8, -8)
                    .status(STATUS, 4, STATUS_DONE | STATUS_FAULT)
                    .readOnly(HASH, 8, FNV_OFFSET)
                    .readOnly(DONE_BYTES, 4, 0);

    /// Raised by a guest's store that makes the step under way worthless.
    @GuardedBy("this")
    private int generation;

    @GuardedBy("this")
    private boolean stopped;

    /// Null if the worker has ended, or is to end.
    @GuardedBy("this")
    private @Nullable Thread worker;

    @GuardedBy("this")
    private long jobs;

    Accelerator(Aperture aperture, MdevContext context) {
        this.context = context;
        this.result = ShareMemory.inOrder(aperture, context.share("result"));
        synchronized (this) {
            var _ = registers.afterStore(CONTROL, (value, stored) -> control(stored));
        }
    }

    @Override
    public List<RegionInfo> regions() {
        return List.of(
                RegionInfo.of(REGISTERS, "registers", Page.SIZE, RegionArea.Kind.TRAPPED),
                RegionInfo.of(RESULT, "result", Page.SIZE, RegionArea.Kind.LAZY));
    }

    @Override
    public IrqInfo irqs() {
        return new IrqInfo(true, 1, 0);
    }

    /// All state is under one lock, and no callback keeps it for long.
    @Override
    public boolean isConcurrent() {
        return true;
    }

    @Override
    public MapDecision validateMapRequest(MapRequest request) {
        return request.access() == Access.WRITE
                ? ChecksumDriver.denyStores(request)
                : MapDecision.grantPage(request, result.pfnOf(0), Prot.READ);
    }

    @Override
    public long read(int region, long offsetBytes, int widthBytes) {
        if (region == RESULT) {
            return result.load(offsetBytes, widthBytes);
        }
        synchronized (this) {
            return registers.read((int) offsetBytes, widthBytes);
        }
    }

    @Override
    public void write(int region, long offsetBytes, int widthBytes, long value) {
        if (region == RESULT) {
            throw new MdevException(Errno.EACCES, "results are read only");
        }
        synchronized (this) {
            registers.write((int) offsetBytes, widthBytes, value);
            context.interrupts().setLine(usesLine() && registers.get(STATUS) != 0);
        }
    }

    /// A store of 1 begins a job; one of 0 gives it up.
    private synchronized void control(long stored) {
        cancelLocked();
        if ((stored & 1) != 0) {
            registers.set(CONTROL, 1);
            registers.set(DONE_BYTES, 0);
            registers.set(HASH, FNV_OFFSET);
            notifyAll();
        }
    }

    @GuardedBy("this")
    private void cancelLocked() {
        generation++;
        registers.set(CONTROL, 0);
    }

    // The worker.

    private record Step(int generation, long iova, int lengthBytes, long hash, boolean last) {}

    private void work() {
        for (Step step = next(); step != null; step = next()) {
            Step now = step;
            if (!context.runStep(() -> take(now))) {
                // A callback is under way that the step may not run beside.
                LockSupport.parkNanos(this, RETRY_NANOS);
            }
        }
    }

    private void take(Step step) {
        try {
            finish(step, hashOf(step));
        } catch (MdevException e) {
            // Cancelled: the device is to stand still, and the step is taken again afterwards.
            if (e.errno() != Errno.ECANCELED) {
                fail(step);
            }
        }
    }

    /// Waits for something to do. Null when the worker is to end.
    private synchronized @Nullable Step next() {
        while (worker != null && (stopped || registers.get(CONTROL) == 0)) {
            try {
                wait();
            } catch (InterruptedException e) {
                // Nothing interrupts this thread; without a `worker` it ends.
            }
        }
        if (worker == null) {
            return null;
        }
        long done = registers.get(DONE_BYTES);
        long left = registers.get(LENGTH) - done;
        int length = Math.clamp(left, 0, Page.SIZE);
        return new Step(
                generation,
                registers.get(SOURCE) + done,
                length,
                registers.get(HASH),
                length >= left);
    }

    /// Without the lock: behind guest memory may be a device that takes its time.
    private long hashOf(Step step) {
        byte[] bytes = new byte[step.lengthBytes()];
        context.guestMemory().read(step.iova(), MemorySegment.ofArray(bytes));
        long hash = step.hash();
        for (byte value : bytes) {
            hash = (hash ^ (value & 0xFF)) * FNV_PRIME;
        }
        if (step.last()) {
            publish(hash);
        }
        return hash;
    }

    private void publish(long hash) {
        long iova;
        synchronized (this) {
            iova = registers.get(TARGET);
        }
        try (GuestMemory.Pin pin = context.guestMemory().pin(Page.baseOf(iova), 1, Access.WRITE)) {
            pin.store(Page.offsetOf(iova), Long.BYTES, hash);
        }
        result.store(0, Long.BYTES, hash);
    }

    private synchronized void finish(Step step, long hash) {
        if (step.generation() != generation) {
            return;
        }
        registers.set(HASH, hash);
        registers.set(DONE_BYTES, registers.get(DONE_BYTES) + step.lengthBytes());
        if (step.last()) {
            endLocked(STATUS_DONE);
        }
    }

    private synchronized void fail(Step step) {
        if (step.generation() == generation) {
            endLocked(STATUS_FAULT);
        }
    }

    /// Interrupts never block, so the lock may be held.
    @GuardedBy("this")
    private void endLocked(int status) {
        cancelLocked();
        jobs++;
        registers.set(STATUS, registers.get(STATUS) | status);
        if (usesLine()) {
            context.interrupts().setLine(true);
        } else {
            context.interrupts().trigger(0);
        }
    }

    private boolean usesLine() {
        return context.interrupts().isEnabled(Interrupts.Kind.LINE);
    }

    // Callbacks beside which the host runs no step.

    @Override
    public void assigned(boolean held) {
        if (!held) {
            endWorker();
            return;
        }
        synchronized (this) {
            worker =
                    Thread.ofPlatform()
                            .daemon()
                            .name("checksum-" + context.uuid())
                            .start(this::work);
        }
    }

    private void endWorker() {
        Thread ending;
        synchronized (this) {
            ending = worker;
            worker = null;
            cancelLocked();
            notifyAll();
        }
        boolean interrupted = false;
        while (ending != null && ending.isAlive()) {
            try {
                ending.join();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public synchronized void dmaUnmapped(long iova, long lengthBytes) {
        if (registers.get(CONTROL) != 0) {
            endLocked(STATUS_FAULT);
        }
    }

    @Override
    public synchronized void reset() {
        cancelLocked();
        registers.reset();
        context.interrupts().setLine(false);
        result.fill(0, result.sizeBytes(), (byte) 0);
    }

    @Override
    public void close() {
        endWorker();
    }

    @Override
    public synchronized Map<String, Long> counters() {
        return Map.of("jobs", jobs);
    }

    @Override
    public boolean isMovable() {
        return true;
    }

    @Override
    public void shareMoved(List<PoolShare> share) {
        result.moveTo(share);
    }

    @Override
    public Optional<DeviceState> state() {
        return Optional.of(this);
    }

    @Override
    public synchronized void stop() {
        stopped = true;
    }

    @Override
    public synchronized void resume() {
        stopped = false;
        context.interrupts().setLine(usesLine() && registers.get(STATUS) != 0);
        notifyAll();
    }

    @Override
    public int version() {
        return 1;
    }

    @Override
    public synchronized void save(DataOutput out) throws IOException {
        registers.save(out);
    }

    @Override
    public synchronized void restore(int version, DataInput in) throws IOException {
        if (version != 1) {
            throw new MdevException(Errno.EINVAL, "version=" + version);
        }
        cancelLocked();
        registers.restore(in);
        if (registers.get(DONE_BYTES) > registers.get(LENGTH)) {
            throw new IOException("more is done than there is");
        }
    }
}
