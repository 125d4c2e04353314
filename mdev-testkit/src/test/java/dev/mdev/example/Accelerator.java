package dev.mdev.example;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.DoorbellInfo;
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
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;

/// One accelerator: it computes the 64-bit FNV-1a hashes of pieces of guest memory.
///
/// A guest keeps a list of jobs at the address in JOBS: their number in the first 4 bytes, and job
/// `i` at `(1 + i % SLOTS) * JOB_BYTES`. It stores a job, then the number, and rings. The hash goes
/// to the place that the job names, and to the result page, with an interrupt. A load of the result
/// page waits for the job under way, and a job that is longer than a page must not read it.
///
/// The device has no thread: the host calls [#rung], which does a page of work at a time. Guests'
/// accesses run beside it, so they share the registers under one lock, which nobody holds during
/// DMA.
final class Accelerator implements MdevDevice, DeviceState {
    static final int REGISTERS = 0;
    static final int RESULT = 2;

    static final int JOBS = 0x00;
    static final int CONTROL = 0x08;
    static final int STATUS = 0x0C;
    static final int DONE_JOBS = 0x10;
    static final int DONE_BYTES = 0x14;
    static final int HASH = 0x18;
    static final int DOORBELL = 0x20;

    static final int STATUS_DONE = 1;
    static final int STATUS_FAULT = 2;

    static final int SLOTS = 127;

    /// It bounds the time until the device has come to rest.
    static final int MAX_JOB_BYTES = 1 << 20;

    static final int JOB_BYTES = 32;
    static final int JOB_LENGTH = 8;
    static final int JOB_TARGET = 16;

    private static final long FNV_OFFSET = 0xCBF2_9CE4_8422_2325L;
    private static final long FNV_PRIME = 0x100_0000_01B3L;

    private final MdevContext context;
    private final GuestMemory memory;
    private final ShareMemory result;

    @GuardedBy("this")
    private final RegisterFile registers =
            new RegisterFile()
                    .plain(JOBS, 8, -8)
                    .plain(CONTROL, 4, 1)
                    .status(STATUS, 4, STATUS_DONE | STATUS_FAULT)
                    .readOnly(DONE_JOBS, 4, 0)
                    .readOnly(DONE_BYTES, 4, 0)
                    .readOnly(HASH, 8, FNV_OFFSET);

    /// Raised by a guest's store that makes the slice under way worthless.
    @GuardedBy("this")
    private int generation;

    /// Completed at the end of the job under way, if the device is to come to rest; null while it
    /// may begin jobs.
    @GuardedBy("this")
    private @Nullable CompletableFuture<Void> rest;

    /// The jobs of the holder.
    @GuardedBy("this")
    private long jobs;

    Accelerator(Aperture aperture, MdevContext context) {
        this.context = context;
        this.memory = context.guestMemory();
        this.result = ShareMemory.inOrder(aperture, context.share("result"));
        synchronized (this) {
            var _ = registers.afterStore(CONTROL, (value, stored) -> control(value));
        }
    }

    @Override
    public List<RegionInfo> regions() {
        return List.of(
                RegionInfo.of(REGISTERS, "registers", Page.SIZE, RegionArea.Kind.TRAPPED),
                RegionInfo.of(RESULT, "result", Page.SIZE, RegionArea.Kind.LAZY));
    }

    @Override
    public List<DoorbellInfo> doorbells() {
        return List.of(new DoorbellInfo(REGISTERS, DOORBELL, 4));
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
        if (request.access() == Access.WRITE) {
            return ChecksumDriver.denyStores(request);
        }
        return isInJob()
                ? new MapDecision.Again("a step is to fill the page")
                : MapDecision.grantPage(request, result.pfnOf(0), Prot.READ);
    }

    private synchronized boolean isInJob() {
        return registers.get(DONE_BYTES) != 0;
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

    /// A store of 1 begins a list of jobs; one of 0 gives it up.
    private synchronized void control(long value) {
        generation++;
        beginJobLocked();
        if (value != 0) {
            registers.set(DONE_JOBS, 0);
        }
    }

    @GuardedBy("this")
    private void beginJobLocked() {
        registers.set(DONE_BYTES, 0);
        registers.set(HASH, FNV_OFFSET);
        CompletableFuture<Void> waiting = rest;
        if (waiting != null) {
            waiting.complete(null);
        }
    }

    // The work.

    /// Where the work is: what the registers said when the slice began.
    private record Slice(int generation, long jobs, int doneJobs, long doneBytes, long hash) {
        long job() {
            return jobs + (1 + Integer.toUnsignedLong(doneJobs) % SLOTS) * JOB_BYTES;
        }
    }

    @Override
    public DoorbellInfo.Answer rung(int doorbell) {
        Slice slice = slice();
        if (slice == null) {
            return DoorbellInfo.Answer.DONE;
        }
        try {
            return work(slice) ? DoorbellInfo.Answer.AGAIN : DoorbellInfo.Answer.DONE;
        } catch (MdevException e) {
            if (e.errno() == Errno.ECANCELED) {
                // The device must stand still. The host calls again, for the same slice.
                throw e;
            }
            fail(slice);
            return DoorbellInfo.Answer.DONE;
        }
    }

    private synchronized @Nullable Slice slice() {
        boolean rests = rest != null && !isInJob();
        return registers.get(CONTROL) == 0 || rests
                ? null
                : new Slice(
                        generation,
                        registers.get(JOBS),
                        (int) registers.get(DONE_JOBS),
                        registers.get(DONE_BYTES),
                        registers.get(HASH));
    }

    /// Without the lock: behind guest memory may be a device that takes its time.
    ///
    /// @return whether there was work
    private boolean work(Slice slice) {
        int posted = (int) memory.load(slice.jobs(), Integer.BYTES);
        if (posted == slice.doneJobs()) {
            return false;
        }
        long source = memory.load(slice.job(), Long.BYTES);
        long length = memory.load(slice.job() + JOB_LENGTH, Integer.BYTES);
        if (length > MAX_JOB_BYTES) {
            throw new MdevException(Errno.EINVAL, "lengthBytes=" + length);
        }
        long left = length - slice.doneBytes();
        byte[] bytes = new byte[Math.clamp(left, 0, Page.SIZE)];
        memory.read(source + slice.doneBytes(), MemorySegment.ofArray(bytes));
        long hash = slice.hash();
        for (byte value : bytes) {
            hash = (hash ^ (value & 0xFF)) * FNV_PRIME;
        }
        boolean last = bytes.length >= left;
        if (last) {
            publish(hash, memory.load(slice.job() + JOB_TARGET, Long.BYTES) & -Long.BYTES);
        }
        record(slice, bytes.length, hash, last);
        if (!last && slice.doneBytes() == 0) {
            // After the record: a fault from now on waits for the result.
            context.revoke(RESULT, 0, 1);
        }
        return true;
    }

    private void publish(long hash, long iova) {
        try (GuestMemory.Pin pin = memory.pin(Page.baseOf(iova), 1, Access.WRITE)) {
            pin.store(Page.offsetOf(iova), Long.BYTES, hash);
        }
        result.store(0, Long.BYTES, hash);
    }

    private synchronized void record(Slice slice, int lengthBytes, long hash, boolean last) {
        if (slice.generation() != generation) {
            return;
        }
        if (last) {
            jobs++;
            registers.set(DONE_JOBS, slice.doneJobs() + 1L);
            beginJobLocked();
            raiseLocked(STATUS_DONE);
        } else {
            registers.set(HASH, hash);
            registers.set(DONE_BYTES, slice.doneBytes() + lengthBytes);
        }
    }

    private synchronized void fail(Slice slice) {
        if (slice.generation() == generation) {
            generation++;
            registers.set(CONTROL, 0);
            beginJobLocked();
            raiseLocked(STATUS_FAULT);
        }
    }

    /// Interrupts never block, so the lock may be held.
    @GuardedBy("this")
    private void raiseLocked(int status) {
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
    public synchronized void assigned(boolean held) {
        if (held) {
            jobs = 0;
        }
    }

    @Override
    public synchronized void reset() {
        generation++;
        registers.reset();
        beginJobLocked();
        context.interrupts().setLine(false);
        result.fill(0, result.sizeBytes(), (byte) 0);
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

    /// No job is saved half done: the one under way ends first, and no other begins.
    @Override
    public synchronized CompletionStage<Void> quiesce() {
        CompletableFuture<Void> waiting = new CompletableFuture<>();
        rest = waiting;
        if (registers.get(CONTROL) == 0 || !isInJob()) {
            waiting.complete(null);
        }
        return waiting;
    }

    /// The host rings after this, so the work goes on.
    @Override
    public synchronized void resume() {
        rest = null;
        context.interrupts().setLine(usesLine() && registers.get(STATUS) != 0);
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
        generation++;
        registers.restore(in);
        if (isInJob()) {
            throw new IOException("a job is half done: doneBytes=" + registers.get(DONE_BYTES));
        }
    }
}
