package dev.mdev.core.engine.kvm;

import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.sys.Syscalls;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/// One virtual machine of the kernel, with the host address space of its memory.
final class KvmGuest implements GuestEngine {
    private final Syscalls sys;
    private final AddressSpaces slots;
    private final KvmVm vm;
    private final HostMm mm;
    private final MmapPageTable pageTable;
    private final GuestStub stub = new GuestStub();
    private final VcpuRegistry vcpus;
    private final KvmCounters counters;
    private final Duration deadline;
    private final CountDownLatch closed = new CountDownLatch(1);

    /// Everything that a machine is made of.
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
    }

    static KvmGuest create(MmapPageTable.Shared shared, AddressSpaces slots, HostMemory memory) {
        KvmVm vm = KvmVm.create(shared.sys());
        VcpuRegistry vcpus = new VcpuRegistry();
        KvmCounters counters = new KvmCounters();
        MmapPageTable pageTable;
        try {
            pageTable = new MmapPageTable(shared, memory, vcpus, counters);
        } catch (RuntimeException e) {
            vm.close();
            throw e;
        }
        HostMm mm = new HostMm(pageTable, memory, shared.patience());
        pageTable.connect(mm::handleFault);
        slots.addListener(new KvmSlots(vm));
        KvmGuest guest =
                new KvmGuest(
                        shared.sys(),
                        slots,
                        new Parts(vm, mm, pageTable, vcpus, counters),
                        shared.patience());
        Thread.ofPlatform().daemon().name("mdev-watchdog").start(guest::watch);
        return guest;
    }

    /// Looks after virtual processors that sleep in a fault for too long, until the machine is
    /// closed. It does not trust the fault loops: they may be what hangs.
    private void watch() {
        long periodNanos = Math.max(deadline.toNanos() / 4, 1);
        try {
            while (!closed.await(periodNanos, TimeUnit.NANOSECONDS)) {
                long now = System.nanoTime();
                for (RowRunner vcpu : vcpus.all()) {
                    vcpu.checkDeadline(now, deadline.toNanos());
                }
            }
        } catch (InterruptedException e) {
            // Nobody interrupts this thread but to end it.
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public HostMm hostMm() {
        return mm;
    }

    @Override
    public VcpuEngine createVcpu(int vcpuId) {
        StubVcpu processor = new StubVcpu(vm, stub, vcpuId);
        VcpuThread thread = new VcpuThread(sys.libc());
        GuestFaults faults = new GuestFaults(new VcpuMemslots(slots, vcpuId), mm, pageTable);
        RowRunner runner = new RowRunner(processor, thread, faults, counters);
        RowPlanner planner = new RowPlanner(processor, StubMemory.limitGpa(vm));
        return new KvmVcpu(new KvmVcpu.Parts(processor, thread, faults, runner, planner), vcpus);
    }

    /// What the machine's faults came to.
    KvmFaultCounts faultCounts() {
        return counters.snapshot();
    }

    KvmVm vm() {
        return vm;
    }

    MmapPageTable pageTable() {
        return pageTable;
    }

    @Override
    public void close() {
        closed.countDown();
        mm.close();
        pageTable.close();
        vm.close();
    }
}
