package dev.mdev.core.dirty;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareGuest;
import dev.mdev.core.engine.software.SoftwareVcpu;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Together;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicInteger;

/// Real threads: two processors write memory through two slots that share it, one slot is deleted
/// and created again all the time, and a VMM collects and copies. At the end, the copy equals
/// memory. Planted bugs show that the test can fail.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class DirtyBackingViewRaceTest {
    private static final int NPAGES = 4096;
    private static final int STORES = 20_000 * Integer.getInteger("mdev.rounds", 1);
    private static final int STEADY = 1;
    private static final int FLEETING = 2;

    /// How the VMM collects.
    private enum Collector {
        /// By the view.
        VIEW,
        /// Slot by slot: the bits of a slot are lost with it.
        PER_SLOT,
        /// The bits alone: write permission stays, and later writes are not logged.
        WITHOUT_PROTECTION
    }

    @Test
    void whatIsWrittenThroughAnySlotIsCopied() {
        assertThat(losesPages(Collector.VIEW)).isFalse();
    }

    @Test
    void collectingSlotBySlotLosesPages() {
        Together.untilFound(() -> losesPages(Collector.PER_SLOT));
    }

    @Test
    void collectingWithoutTakingTheRightToWriteLosesPages() {
        Together.untilFound(() -> losesPages(Collector.WITHOUT_PROTECTION));
    }

    private static boolean losesPages(Collector collector) {
        try (Machine machine = new Machine(collector)) {
            return machine.pagesThatDiffer() > 0;
        }
    }

    private static final class Machine implements AutoCloseable {
        private final HostMemory memory = new HostMemory(new OffHeapBackend());
        private final HostMemory.Block block = memory.allocate("ram", NPAGES);
        private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        private final SoftwareGuest guest =
                new SoftwareEngine(Together.LIMIT).createGuest(slots, memory);
        private final Arena arena = Arena.ofShared();
        private final MemorySegment copy = arena.allocate(Page.bytesOf(NPAGES), Page.SIZE);
        private final HvaRange hvas;
        private final Collector collector;
        private final DirtyBackingBlock view;
        private final DirtyBackingView backing;
        private final AtomicInteger running = new AtomicInteger(2);

        Machine(Collector collector) {
            this.collector = collector;
            hvas = guest.hostMm().mapEagerly(block.pfns(), Prot.READ_WRITE).range();
            backing = DirtyBackingView.attach(slots, guest.dirtyLog());
            view = backing.addBlock(hvas);
            create(STEADY);
            create(FLEETING);
            Together.run(
                    () -> store(0), () -> store(1), this::collectAllTheTime, this::changeSlots);
            collect();
        }

        private void create(int slot) {
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(
                            slot,
                            SlotFlags.LOG_DIRTY_PAGES,
                            Page.addressOf(gfnOf(slot)),
                            Page.bytesOf(NPAGES),
                            hvas.startHva()));
        }

        private static long gfnOf(int slot) {
            return (long) slot * NPAGES;
        }

        private void store(int vcpuId) {
            SplittableRandom random = new SplittableRandom(vcpuId);
            try (SoftwareVcpu vcpu = guest.createVcpu(vcpuId)) {
                for (int i = 1; i <= STORES; i++) {
                    long gfn = gfnOf(1 + random.nextInt(2)) + random.nextInt(NPAGES);
                    GuestAccess.Span span =
                            new GuestAccess.Span(Page.addressOf(gfn) + 8L * vcpuId, 8, 1, 0);
                    vcpu.submit(new GuestAccess.Store(span, i, 0));
                    VcpuExit exit = vcpu.run();
                    // Without the slot, the store goes nowhere.
                    assertThat(exit).isInstanceOfAny(VcpuExit.Done.class, VcpuExit.MmioWrite.class);
                }
            } finally {
                running.decrementAndGet();
            }
        }

        private void changeSlots() {
            SplittableRandom random = new SplittableRandom(7);
            while (running.get() > 0) {
                slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(FLEETING));
                create(FLEETING);
                for (int i = 0; i < 50; i++) {
                    Together.pause(random);
                }
            }
        }

        private void collectAllTheTime() {
            SplittableRandom random = new SplittableRandom(8);
            while (running.get() > 0) {
                collect();
                Together.pause(random);
            }
        }

        private void collect() {
            switch (collector) {
                case VIEW -> {
                    backing.collectBitmaps();
                    view.dirty().harvest(this::copyPages);
                }
                case PER_SLOT -> {
                    DirtyBitmap found = new DirtyBitmap(NPAGES);
                    guest.dirtyLog().collect(STEADY, found::setAll);
                    guest.dirtyLog().collect(FLEETING, found::setAll);
                    found.harvest(this::copyPages);
                }
                case WITHOUT_PROTECTION -> {
                    harvestOnly(STEADY);
                    harvestOnly(FLEETING);
                    view.dirty().harvest(this::copyPages);
                }
            }
        }

        private void harvestOnly(int slotNumber) {
            slots.slotsLock().lock();
            try {
                Memslot slot = slots.slotOf(slotNumber);
                DirtyBitmap bitmap = slot == null ? null : slot.bitmap();
                if (bitmap != null) {
                    bitmap.harvest(this::copyPages);
                }
            } finally {
                slots.slotsLock().unlock();
            }
        }

        private void copyPages(int word, long bits) {
            for (long left = bits; left != 0; left &= left - 1) {
                long at = Page.bytesOf((long) word * Long.SIZE + Long.numberOfTrailingZeros(left));
                MemorySegment.copy(block.segment(), at, copy, at, Page.SIZE);
            }
        }

        int pagesThatDiffer() {
            int differ = 0;
            for (long at = 0; at < copy.byteSize(); at += Page.SIZE) {
                MemorySegment ours = copy.asSlice(at, Page.SIZE);
                differ += ours.mismatch(block.segment().asSlice(at, Page.SIZE)) < 0 ? 0 : 1;
            }
            return differ;
        }

        @Override
        public void close() {
            guest.close();
            memory.close();
            arena.close();
        }
    }
}
