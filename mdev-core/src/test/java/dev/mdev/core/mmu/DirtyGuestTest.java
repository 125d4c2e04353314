package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyRing;
import dev.mdev.core.dirty.DirtyRingHarvester;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/// Guests that write while their writes are collected. What a migration relies on is tested by
/// doing one: memory is copied, dirty pages are copied again and again while the guest runs, and in
/// the end the copy must equal the original.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class DirtyGuestTest {
    private static final int NPAGES = 320;
    private static final int ROUNDS = Integer.getInteger("mdev.dirty.rounds", 300);

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
    private final SoftwareGuest guest =
            new SoftwareEngine(Deadlines.HANG).createGuest(slots, memory);
    private final HostMemory.Block block = memory.allocate("ram", NPAGES);
    private final Vma ram =
            guest.hostMm()
                    .mapEagerly(new PfnRange(block.pfns().firstPfn(), NPAGES), Prot.READ_WRITE);
    private final MemorySegment copy =
            MemorySegment.ofArray(new long[NPAGES * Page.SIZE / Long.BYTES]);

    @AfterEach
    void close() {
        guest.close();
        memory.close();
    }

    @Test
    void aCopyMadeByTheBitmapWhileTheGuestWritesEqualsItsMemory() throws Exception {
        log(true);
        migrate(this::getDirty);
    }

    @Test
    void aCopyMadeByManualClearingFromAllSetEqualsItsMemory() throws Exception {
        guest.dirtyModes()
                .enable(
                        DirtyModes.MANUAL_PROTECT2,
                        0,
                        DirtyModes.MANUAL_ENABLE | DirtyModes.INITIALLY_SET);
        // Pages that are mapped writable before the log begins are the hard case here.
        log(false);
        SoftwareVcpu first = guest.createVcpu(9);
        first.submit(new GuestAccess.Store(new Span(0, 8, NPAGES, Page.SIZE), 1, 1));
        assertThat(first.run()).isInstanceOf(VcpuExit.Done.class);
        first.close();
        log(true);
        migrate(() -> {
            BitSet dirty = getDirty();
            guest.dirtyLog()
                    .clear(
                            new DirtyLogClear(0, NPAGES, 0),
                            MemorySegment.ofArray(Arrays.copyOf(dirty.toLongArray(), NPAGES / 64)));
            return dirty;
        });
    }

    @Test
    void aCopyMadeByTheRingWhileTheGuestWritesEqualsItsMemory() throws Exception {
        guest.dirtyModes().enable(DirtyModes.RING, 0, 4096);
        log(true);
        migrate(this::harvestRing);
    }

    private @Nullable DirtyRingHarvester harvester;

    private BitSet harvestRing() {
        DirtyRingHarvester ring = harvester;
        if (ring == null) {
            ring = new DirtyRingHarvester(ring(0).memory());
            harvester = ring;
        }
        BitSet dirty = new BitSet();
        int count = ring.harvest((slot, page) -> dirty.set((int) page), Integer.MAX_VALUE);
        assertThat(guest.resetDirtyRings()).isEqualTo(count);
        return dirty;
    }

    private BitSet getDirty() {
        long[] words = new long[NPAGES / Long.SIZE];
        guest.dirtyLog().get(0, MemorySegment.ofArray(words));
        return BitSet.valueOf(words);
    }

    private interface Collector {
        BitSet collect();
    }

    private void migrate(Collector collector) throws Exception {
        SoftwareVcpu vcpu = guest.createVcpu(0);
        AtomicBoolean stop = new AtomicBoolean();
        CountDownLatch writing = new CountDownLatch(1);
        CompletableFuture<Long> writer =
                CompletableFuture.supplyAsync(
                        () -> writeUntil(vcpu, stop, writing),
                        task -> new Thread(task, "writer").start());
        assertThat(writing.await(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();
        copyPages(0, NPAGES);
        for (int round = 0; round < ROUNDS; round++) {
            copyAll(collector.collect());
        }
        stop.set(true);
        while (!writer.isDone()) {
            // A full ring keeps the writer from coming to its end.
            copyAll(collector.collect());
        }
        copyAll(collector.collect());

        assertThat(writer.get(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).as("stores").isPositive();
        long mismatch = copy.mismatch(block.segment());
        assertThat(mismatch)
                .as("first byte that differs, of page %d", mismatch / Page.SIZE)
                .isEqualTo(-1);
    }

    /// Stores to random pages, each value once.
    private static long writeUntil(SoftwareVcpu vcpu, AtomicBoolean stop, CountDownLatch writing) {
        SplittableRandom random = new SplittableRandom(7);
        long value = 1;
        while (!stop.get()) {
            long gpa = Page.addressOf(random.nextInt(NPAGES)) + 8L * random.nextInt(512);
            vcpu.submit(new GuestAccess.Store(new Span(gpa, 8, 1, 0), value, 0));
            VcpuExit exit = vcpu.run();
            while (exit instanceof VcpuExit.DirtyRingFull) {
                Thread.onSpinWait();
                exit = vcpu.run();
            }
            assertThat(exit).isInstanceOf(VcpuExit.Done.class);
            value++;
            writing.countDown();
        }
        return value - 1;
    }

    private void copyAll(BitSet dirty) {
        dirty.stream().forEach(page -> copyPages(page, 1));
    }

    private void copyPages(long first, long npages) {
        MemorySegment.copy(
                block.segment(),
                Page.addressOf(first),
                copy,
                Page.addressOf(first),
                Page.bytesOf(npages));
    }

    @Test
    void aProcessorLeavesWhenItsRingIsFullAndGoesOnPageByPageAsEntriesAreFreed() {
        guest.dirtyModes().enable(DirtyModes.RING, 0, 4096);
        log(true);
        SoftwareVcpu vcpu = guest.createVcpu(0);
        vcpu.submit(new GuestAccess.Store(new Span(0, 8, NPAGES, Page.SIZE), 1, 1));
        DirtyRing ring = ring(0);
        DirtyRingHarvester harvester = new DirtyRingHarvester(ring.memory());

        assertThat(vcpu.run()).isInstanceOf(VcpuExit.DirtyRingFull.class);
        assertThat(ring.used()).as("256 entries less 64 in reserve").isEqualTo(192);
        assertThat(vcpu.run()).as("again, at once").isInstanceOf(VcpuExit.DirtyRingFull.class);
        assertThat(ring.used()).isEqualTo(192);

        assertThat(harvester.harvest((slot, page) -> assertThat(page).isZero(), 1)).isOne();
        assertThat(guest.resetDirtyRings()).isOne();
        assertThat(vcpu.run()).isInstanceOf(VcpuExit.DirtyRingFull.class);
        assertThat(ring.used()).isEqualTo(192);

        harvester.harvest((slot, page) -> {}, Integer.MAX_VALUE);
        assertThat(guest.resetDirtyRings()).isEqualTo(192);
        assertThat(vcpu.run()).isInstanceOf(VcpuExit.Done.class);
        assertThat(vcpu.completed()).isEqualTo(NPAGES);
    }

    private DirtyRing ring(int vcpuId) {
        return Objects.requireNonNull(guest.dirtyRings().ringOf(vcpuId));
    }

    private void log(boolean on) {
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        0,
                        on ? SlotFlags.LOG_DIRTY_PAGES : 0,
                        0,
                        Page.bytesOf(NPAGES),
                        ram.range().startHva()));
    }
}
