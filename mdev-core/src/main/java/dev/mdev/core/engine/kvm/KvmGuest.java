package dev.mdev.core.engine.kvm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRing;
import dev.mdev.core.dirty.DirtyRingCollector;
import dev.mdev.core.dirty.DirtyRingHarvester;
import dev.mdev.core.dirty.DirtyRings;
import dev.mdev.core.dma.WriteWatches;
import dev.mdev.core.engine.DoorbellPort;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.KvmCounters;
import dev.mdev.core.engine.kvm.mm.KvmFaultCounts;
import dev.mdev.core.engine.kvm.mm.MmapPageTable;
import dev.mdev.core.engine.kvm.stub.GuestStub;
import dev.mdev.core.engine.kvm.stub.RowPlanner;
import dev.mdev.core.engine.kvm.stub.StubMemory;
import dev.mdev.core.engine.kvm.stub.StubVcpu;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.core.topology.VcpuPause;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.ReentrantLock;

/// One virtual machine of the kernel, with the host address space of its memory.
///
/// Dirty tracking is as in [dev.mdev.core.engine.software.SoftwareGuest]. With bitmaps, the log is
/// the machine's own and gets what the kernel logs ([KvmDirtyPages]); it also has the writes of
/// devices. With rings, the rings are the kernel's: they have only the writes of virtual
/// processors.
public final class KvmGuest implements GuestEngine {
    static final String WATCHDOG = "mdev-watchdog";

    private final Syscalls sys;
    private final AddressSpaces slots;
    private final KvmVm vm;
    private final HostMm mm;
    private final MmapPageTable pageTable;
    private final GuestStub stub = new GuestStub();
    private final VcpuRegistry vcpus;
    private final KvmCounters counters;
    private final Duration deadline;
    private final AtomicBoolean closing = new AtomicBoolean();
    private final CountDownLatch closed = new CountDownLatch(1);
    private final DirtyModes dirtyModes;
    private final DirtyLog dirtyLog;
    private final DirtyRings dirtyRings;
    private final KvmDoorbells doorbells;
    private final DirtyRingCollector ringCollector;
    private final ReentrantLock creating = new ReentrantLock();

    /// The virtual processor whose ring is requested.
    @GuardedBy("creating")
    private @Nullable StubVcpu created;

    /// All parts of a machine.
    private record Parts(
            KvmVm vm,
            HostMm mm,
            MmapPageTable pageTable,
            VcpuRegistry vcpus,
            KvmCounters counters) {}

    private KvmGuest(Syscalls sys, AddressSpaces slots, Parts parts, Duration deadline) {
        this.sys = sys;
        this.slots = slots;
        this.vm = parts.vm;
        this.mm = parts.mm;
        this.pageTable = parts.pageTable;
        this.vcpus = parts.vcpus;
        this.counters = parts.counters;
        this.deadline = deadline;
        this.dirtyModes = new DirtyModes(slots, DirtyHardware.x86());
        this.ringCollector = new DirtyRingCollector(slots, this::resetDirtyRings);
        KvmDirtyPages dirtyPages = new KvmDirtyPages(vm, dirtyModes, ringCollector);
        this.dirtyLog = new DirtyLog(slots, dirtyModes, dirtyPages);
        slots.addListener(new KvmSlots(vm, vcpus, dirtyPages));
        this.dirtyRings = new DirtyRings(slots, dirtyModes, this::ringOfCreated);
        this.doorbells = new KvmDoorbells(sys, vm);
        slots.setBitmapPolicy(dirtyModes);
    }

    static KvmGuest create(MmapPageTable.Shared shared, AddressSpaces slots, HostMemory memory) {
        KvmVm vm = KvmVm.create(shared.sys());
        try {
            return create(vm, shared, slots, memory);
        } catch (RuntimeException | Error e) {
            vm.close();
            throw e;
        }
    }

    private static KvmGuest create(
            KvmVm vm, MmapPageTable.Shared shared, AddressSpaces slots, HostMemory memory) {
        VcpuRegistry vcpus = new VcpuRegistry();
        KvmCounters counters = new KvmCounters();
        MmapPageTable pageTable = new MmapPageTable(shared, memory, vcpus, counters);
        try {
            HostMm mm = new HostMm(pageTable, memory, shared.patience());
            pageTable.connect(mm::handleFault);
            KvmGuest guest =
                    new KvmGuest(
                            shared.sys(),
                            slots,
                            new Parts(vm, mm, pageTable, vcpus, counters),
                            shared.patience());
            // Must be last: nothing can fail after it.
            Thread.ofPlatform().daemon().name(WATCHDOG).start(guest::watch);
            return guest;
        } catch (RuntimeException | Error e) {
            pageTable.close();
            throw e;
        }
    }

    /// Interrupts virtual processors that sleep in a fault for too long, until the machine is
    /// closed. It is independent of the fault loops, because they may be what hangs.
    private void watch() {
        long periodNanos = Math.max(deadline.toNanos() / 4, 1);
        try {
            while (!closed.await(periodNanos, TimeUnit.NANOSECONDS)) {
                long now = System.nanoTime();
                for (KvmRunLoop vcpu : vcpus.all()) {
                    vcpu.checkDeadline(now, deadline.toNanos());
                }
            }
        } catch (InterruptedException e) {
            // Only the end of the machine interrupts this thread.
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public HostMm hostMm() {
        return mm;
    }

    @Override
    public VcpuPause pause() {
        return vcpus;
    }

    @Override
    public DirtyLog dirtyLog() {
        return dirtyLog;
    }

    @Override
    public void setDoorbells(List<DoorbellPort> ports) {
        doorbells.set(ports);
    }

    KvmDoorbells doorbells() {
        return doorbells;
    }

    @Override
    public DirtyModes dirtyModes() {
        return dirtyModes;
    }

    @Override
    public DirtyRingCollector ringCollector() {
        return ringCollector;
    }

    /// The kernel tracks pages only for its own modules.
    @Override
    public Optional<WriteWatches> writeWatches() {
        return Optional.empty();
    }

    /// Asks the kernel first: it refuses what the model refuses, and may need a larger ring, where
    /// the processor has a log of its own.
    @Override
    public void enableDirtyTracking(int capability, int flags, long optionBits) {
        slots.requireAlive();
        // No processor is created in between.
        creating.lock();
        try {
            int errno = vm.tryEnableCap(capability, optionBits);
            if (errno != 0) {
                throw Syscalls.failure(
                        errno,
                        "KVM_ENABLE_CAP capability=%d optionBits=0x%x"
                                .formatted(capability, optionBits));
            }
            dirtyModes.enable(capability, flags, optionBits);
        } finally {
            creating.unlock();
        }
    }

    /// The ring of a virtual processor, shared with the kernel, for a
    /// [dev.mdev.core.dirty.DirtyRingHarvester]; usable until the processor is closed. Null if
    /// there are no rings.
    public @Nullable MemorySegment dirtyRing(int vcpuId) {
        DirtyRing ring = dirtyRings.ringOf(vcpuId);
        return ring == null ? null : ring.memory();
    }

    /// Frees the harvested entries of all rings (`KVM_RESET_DIRTY_RINGS`).
    ///
    /// @return the number of entries
    /// @throws dev.mdev.api.MdevException EINVAL if there are no rings
    public int resetDirtyRings() {
        int result = vm.tryResetDirtyRings();
        if (result < 0) {
            throw Syscalls.failure(-result, "KVM_RESET_DIRTY_RINGS");
        }
        return result;
    }

    private MemorySegment ringOfCreated(int sizeBytes) {
        creating.lock();
        try {
            StubVcpu processor = created;
            if (processor == null) {
                throw new IllegalStateException("no virtual processor is being created");
            }
            return processor.mapDirtyRing(sizeBytes);
        } finally {
            creating.unlock();
        }
    }

    private StubVcpu createProcessor(int vcpuId) {
        creating.lock();
        try {
            StubVcpu processor = new StubVcpu(vm, stub, vcpuId, slots.config().addressSpaces());
            try {
                created = processor;
                var _ = dirtyRings.vcpuCreated(vcpuId);
                return processor;
            } catch (RuntimeException | Error e) {
                processor.close();
                throw e;
            } finally {
                created = null;
            }
        } finally {
            creating.unlock();
        }
    }

    @Override
    public VcpuEngine createVcpu(int vcpuId) {
        slots.requireAlive();
        StubVcpu processor = createProcessor(vcpuId);
        try {
            return vcpuOf(processor, vcpuId);
        } catch (RuntimeException | Error e) {
            processor.close();
            throw e;
        }
    }

    private KvmVcpu vcpuOf(StubVcpu processor, int vcpuId) {
        VcpuThread thread = new VcpuThread(sys.libc(), vcpus.guestHold());
        VcpuMemslots seen = new VcpuMemslots(slots, vcpuId);
        GuestFaults faults = new GuestFaults(seen, mm, pageTable, vcpus.guestHold());
        KvmRunLoop runner = new KvmRunLoop(processor, thread, faults, counters);
        RowPlanner planner = new RowPlanner(processor, StubMemory.limitGpa(vm));
        KvmSmm smm = new KvmSmm(processor, thread, seen, runner::takeKick);
        return new KvmVcpu(
                new KvmVcpu.Parts(processor, thread, faults, runner, planner, smm, collect(vcpuId)),
                vcpus);
    }

    /// Lets the collector have the ring of a new processor.
    ///
    /// @return ends that
    private Runnable collect(int vcpuId) {
        MemorySegment ring = dirtyRing(vcpuId);
        if (ring == null || !dirtyModes.hasCollectedRings()) {
            return () -> {};
        }
        DirtyRingHarvester harvester = ringCollector.add(ring);
        return () -> ringCollector.remove(harvester);
    }

    /// The fault counts of the machine.
    public KvmFaultCounts faultCounts() {
        return counters.snapshot();
    }

    KvmVm vm() {
        return vm;
    }

    public MmapPageTable pageTable() {
        return pageTable;
    }

    /// Has no effect the second time.
    @Override
    public void close() {
        if (!closing.compareAndSet(false, true)) {
            return;
        }
        closed.countDown();
        try {
            doorbells.close();
            mm.close();
        } finally {
            pageTable.close();
            vm.close();
        }
    }
}
