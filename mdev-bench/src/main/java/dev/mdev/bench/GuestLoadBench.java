package dev.mdev.bench;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.TimeUnit;

/// The cost of a guest's load in the software engine: by a TLB hit, and by a walk of the tables.
///
/// The slot logs, so that its leaves are of 4 KiB and the walk has its full depth.
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
@State(Scope.Benchmark)
public class GuestLoadBench {
    private static final int LOADS = 8192;
    private static final long NPAGES = 2 * LOADS;

    private @Nullable SoftwareVcpu vcpu;
    private long sum;

    @Setup
    public void start() {
        HostMemory memory = new HostMemory(new OffHeapBackend());
        AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
        var guest = new SoftwareEngine(Duration.ofSeconds(5)).createGuest(slots, memory);
        Vma vma = guest.hostMm().mapEagerly(memory.allocate("ram", NPAGES).pfns(), Prot.READ_WRITE);
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        0,
                        SlotFlags.LOG_DIRTY_PAGES,
                        0,
                        Page.bytesOf(NPAGES),
                        vma.range().startHva()));
        vcpu = guest.createVcpu(0);
        run(new Span(0, 8, NPAGES, Page.SIZE));
    }

    private long run(Span span) {
        SoftwareVcpu processor = Objects.requireNonNull(vcpu);
        processor.submit(new GuestAccess.Load(span, (index, value) -> sum += value));
        if (!(processor.run() instanceof VcpuExit.Done)) {
            throw new IllegalStateException("the guest did not finish");
        }
        return sum;
    }

    /// One page, word after word.
    @Benchmark
    @OperationsPerInvocation(LOADS)
    public long tlbHit() {
        return run(new Span(0, 8, LOADS, 0));
    }

    /// One load in each of more pages than the TLB holds.
    @Benchmark
    @OperationsPerInvocation(LOADS)
    public long stage2Walk() {
        return run(new Span(0, 8, LOADS, Page.SIZE));
    }
}
