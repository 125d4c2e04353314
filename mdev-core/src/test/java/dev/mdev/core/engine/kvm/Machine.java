package dev.mdev.core.engine.kvm;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaOps;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.sys.Syscalls;
import dev.mdev.gate.Deadlines;

import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.Supplier;

/// A machine on the real KVM, with an aperture, for tests.
public final class Machine implements AutoCloseable {
    public static final long BAR_GPA = 4L << 30;
    public static final long PATIENCE_SECONDS = Deadlines.HANG_SECONDS;
    public static final Duration PATIENCE = Duration.ofSeconds(PATIENCE_SECONDS);

    final HostMemory memory;
    public final HostMemory.Block aperture;
    public final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());
    public final KvmGuest guest;
    private final List<Cpu> cpus = new ArrayList<>();
    private final Map<Vma, Integer> slotOf = new HashMap<>();
    private int nextSlot;

    Machine(long aperturePages) {
        this(aperturePages, Syscalls.ofThisProcess(), PATIENCE, 40_000);
    }

    Machine(long aperturePages, Syscalls sys, Duration deadline, long vmaLimit) {
        this(aperturePages, sys, deadline, new VmaBudget(vmaLimit));
    }

    Machine(long aperturePages, Syscalls sys, Duration deadline, VmaBudget budget) {
        memory = new HostMemory(new MemfdMemory(sys));
        aperture = memory.allocate("aperture", aperturePages);
        guest = new KvmEngine(sys, deadline, budget).createGuest(slots, memory);
    }

    /// The physical page `page` of the aperture.
    public long pfn(long page) {
        return aperture.pfns().firstPfn() + page;
    }

    /// A lazy BAR at [#BAR_GPA].
    Vma bar(long npages, VmaOps ops) {
        return bar(npages, BAR_GPA, 0, ops);
    }

    Vma bar(long npages, long gpa, int flags, VmaOps ops) {
        Vma vma = guest.hostMm().reserve(npages, Prot.READ_WRITE, 0, ops);
        show(vma, gpa, flags);
        return vma;
    }

    /// Puts a vma into the next slot.
    public UserMemoryRegion show(Vma vma, long gpa, int flags) {
        UserMemoryRegion region =
                new UserMemoryRegion(
                        nextSlot++, flags, gpa, vma.range().lengthBytes(), vma.range().startHva());
        slots.setUserMemoryRegion(region);
        slotOf.put(vma, region.slot());
        return region;
    }

    /// Takes a vma and its slot away.
    public void takeOut(Vma vma) {
        slots.setUserMemoryRegion(
                UserMemoryRegion.deletionOf(Objects.requireNonNull(slotOf.remove(vma))));
        guest.hostMm().remove(vma);
    }

    /// Grants each page that is asked for alone: page i of the object is page `map(i)` of the
    /// aperture.
    public VmaOps pageByPage(Function<Long, Long> map) {
        return fault ->
                new Fill.Map(
                        fault.page(),
                        new PfnRange(pfn(map.apply(fault.page())), 1),
                        Prot.READ_WRITE);
    }

    public Cpu cpu() {
        Cpu cpu = new Cpu(guest.createVcpu(cpus.size()));
        cpus.add(cpu);
        return cpu;
    }

    @Override
    public void close() {
        cpus.forEach(Cpu::close);
        guest.close();
        memory.close();
    }

    public static long gpa(long page) {
        return BAR_GPA + Page.addressOf(page);
    }

    /// A virtual processor and its thread.
    public static final class Cpu implements AutoCloseable {
        final VcpuEngine vcpu;
        private final ExecutorService thread =
                Executors.newSingleThreadExecutor(
                        Thread.ofPlatform().daemon().name("test-vcpu").factory());

        Cpu(VcpuEngine vcpu) {
            this.vcpu = vcpu;
        }

        /// Runs an access to its first exit.
        VcpuExit run(GuestAccess access) {
            return on(() -> {
                vcpu.submit(access);
                return vcpu.run();
            });
        }

        /// Goes on after an exit.
        VcpuExit resume() {
            return on(vcpu::run);
        }

        CompletableFuture<VcpuExit> start(GuestAccess access) {
            return CompletableFuture.supplyAsync(
                    () -> {
                        vcpu.submit(access);
                        return vcpu.run();
                    },
                    thread);
        }

        CompletableFuture<VcpuExit> startResume() {
            return CompletableFuture.supplyAsync(vcpu::run, thread);
        }

        VcpuExit load(long gpa, int widthBytes, List<Long> into) {
            return load(new GuestAccess.Span(gpa, widthBytes, 1, 0), into);
        }

        VcpuExit load(GuestAccess.Span span, List<Long> into) {
            return run(new GuestAccess.Load(span, (_, value) -> into.add(value)));
        }

        VcpuExit store(long gpa, int widthBytes, long value) {
            return run(
                    new GuestAccess.Store(new GuestAccess.Span(gpa, widthBytes, 1, 0), value, 0));
        }

        <T> T on(java.util.concurrent.Callable<T> action) {
            return get(
                    CompletableFuture.supplyAsync(
                            () -> {
                                try {
                                    return action.call();
                                } catch (Exception e) {
                                    throw new java.util.concurrent.CompletionException(e);
                                }
                            },
                            thread));
        }

        @Override
        public void close() {
            vcpu.kick();
            on(() -> {
                vcpu.close();
                return null;
            });
            thread.shutdown();
        }
    }

    /// Runs something on a thread of its own: on a small machine, the common pool has but one.
    static <T> CompletableFuture<T> async(Supplier<T> action) {
        return CompletableFuture.supplyAsync(
                action, task -> Thread.ofPlatform().daemon().name("test-async").start(task));
    }

    static CompletableFuture<Boolean> async(Runnable action) {
        return async(() -> {
            action.run();
            return true;
        });
    }

    public static <T> T get(CompletableFuture<T> future) {
        try {
            return future.get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            throw new AssertionError(e.getCause());
        } catch (InterruptedException | TimeoutException e) {
            throw new AssertionError(e);
        }
    }
}
