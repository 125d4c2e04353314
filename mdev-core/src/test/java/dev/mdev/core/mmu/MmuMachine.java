package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

/// A machine of one processor whose slots a test sets by hand.
final class MmuMachine implements AutoCloseable {
    static final long SIZE_2M = 2L << 20;
    static final long PAGES_2M = SIZE_2M / Page.SIZE;

    final HostMemory memory = new HostMemory(new OffHeapBackend());
    final AddressSpaces slots;
    final SoftwareGuest guest;
    final SoftwareVcpu vcpu;

    MmuMachine(SlotConfig config) {
        this(config, SoftwareOptions.DEFAULT);
    }

    MmuMachine(SlotConfig config, SoftwareOptions options) {
        slots = new AddressSpaces(config);
        guest = new SoftwareEngine(Deadlines.HANG, options).createGuest(slots, memory);
        vcpu = guest.createVcpu(0);
    }

    /// Host memory that begins at a multiple of 2 MiB in pfns and addresses alike.
    Vma map(long npages) {
        HostMemory.Block block = memory.allocate("test", npages + PAGES_2M);
        long first = (block.pfns().firstPfn() + PAGES_2M - 1) & -PAGES_2M;
        return guest.hostMm().mapEagerly(new PfnRange(first, npages), Prot.READ_WRITE);
    }

    void slot(int number, int flags, long gpa, long sizeBytes, long hva) {
        slots.setUserMemoryRegion(new UserMemoryRegion(number, flags, gpa, sizeBytes, hva));
    }

    void delete(int number) {
        slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(number));
    }

    VcpuExit store(long gpa, long value) {
        vcpu.submit(new GuestAccess.Store(new Span(gpa, 8, 1, 0), value, 0));
        return vcpu.run();
    }

    long load(long gpa) {
        long[] value = new long[1];
        vcpu.submit(new GuestAccess.Load(new Span(gpa, 8, 1, 0), (index, v) -> value[0] = v));
        assertThat(vcpu.run()).isInstanceOf(VcpuExit.Done.class);
        return value[0];
    }

    VcpuExit tryLoad(long gpa) {
        vcpu.submit(new GuestAccess.Load(new Span(gpa, 8, 1, 0), (index, v) -> {}));
        return vcpu.run();
    }

    /// One load in each page.
    void touch(long gpa, long npages) {
        vcpu.submit(new GuestAccess.Load(new Span(gpa, 8, npages, Page.SIZE), (index, v) -> {}));
        assertThat(vcpu.run()).isInstanceOf(VcpuExit.Done.class);
    }

    @Override
    public void close() {
        vcpu.close();
        guest.close();
        memory.close();
    }
}
