package dev.mdev.core.dirty;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Seeded;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;

class DirtyBackingViewTest {
    private static final long HVA = 0x7f00_0000_0000L;
    private static final int SMM = 1 << 16;

    private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
    private final DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
    private final ProtectRecorder protector = new ProtectRecorder();
    private final DirtyBackingView view =
            DirtyBackingView.attach(slots, new DirtyLog(slots, modes, protector));

    DirtyBackingViewTest() {
        slots.setBitmapPolicy(modes);
    }

    private void slot(int slotNumber, int flags, long gfn, HvaRange host) {
        slots.setUserMemoryRegion(
                new UserMemoryRegion(
                        slotNumber,
                        flags,
                        Page.addressOf(gfn),
                        host.lengthBytes(),
                        host.startHva()));
    }

    private static HvaRange host(long firstPage, long npages) {
        return HvaRange.ofPages(HVA + Page.addressOf(firstPage), npages);
    }

    private void write(int slotNumber, long index) {
        Memslot slot = Objects.requireNonNull(slots.slotOf(slotNumber));
        slots.markDirty(slot, slot.baseGfn() + index, DirtySink.NO_VCPU);
    }

    private static Set<Long> taken(DirtyBackingBlock block) {
        Set<Long> pages = new TreeSet<>();
        block.dirty()
                .harvest((word, bits) -> {
                    for (long left = bits; left != 0; left &= left - 1) {
                        pages.add(word * 64L + Long.numberOfTrailingZeros(left));
                    }
                });
        return pages;
    }

    @Test
    void aPageWrittenInSystemManagementModeIsDirtyOnce() {
        DirtyBackingBlock ram = view.addBlock(host(0, 1000));
        slot(1, LOG_DIRTY_PAGES, 0, host(0, 1000));
        slot(SMM | 1, LOG_DIRTY_PAGES, 0, host(0, 1000));
        write(1, 7);
        write(SMM | 1, 7);
        write(SMM | 1, 500);
        view.collectBitmaps();
        assertThat(taken(ram)).containsExactly(7L, 500L);
        assertThat(protector.flushes).isEqualTo(2);

        view.collectBitmaps();
        assertThat(taken(ram)).isEmpty();
        assertThat(protector.flushes).isEqualTo(2);
    }

    @Test
    void aliasesWithUnalignedOffsetsMeetInOnePage() {
        DirtyBackingBlock ram = view.addBlock(host(0, 300));
        slot(1, LOG_DIRTY_PAGES, 0x1000, host(0, 300));
        slot(2, LOG_DIRTY_PAGES, 0x2000, host(37, 200));
        write(1, 100);
        for (long index : new long[] {0, 26, 27, 63, 64, 199}) {
            write(2, index);
        }
        view.collectBitmaps();
        assertThat(taken(ram)).containsExactly(37L, 63L, 64L, 100L, 101L, 236L);
    }

    @Test
    void aSlotOverSeveralBlocksIsCutAndTheRestIsCounted() {
        DirtyBackingBlock low = view.addBlock(host(0, 70));
        DirtyBackingBlock high = view.addBlock(host(70, 60));
        slot(1, LOG_DIRTY_PAGES, 0, host(10, 200));
        for (long index : new long[] {0, 59, 60, 119, 120, 199}) {
            write(1, index);
        }
        view.collectBitmaps();
        assertThat(taken(low)).containsExactly(10L, 69L);
        assertThat(taken(high)).containsExactly(0L, 59L);
        assertThat(view.unbackedPages()).isEqualTo(2);
    }

    @Test
    void whatADeletedSlotRecordedIsNotLost() {
        DirtyBackingBlock ram = view.addBlock(host(0, 100));
        slot(1, LOG_DIRTY_PAGES, 0, host(0, 100));
        write(1, 5);
        slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
        assertThat(taken(ram)).containsExactly(5L);
    }

    @Test
    void whatWasRecordedBeforeLoggingCeasedIsNotLost() {
        DirtyBackingBlock ram = view.addBlock(host(0, 100));
        slot(1, LOG_DIRTY_PAGES, 0, host(0, 100));
        write(1, 5);
        slot(1, 0, 0, host(0, 100));
        assertThat(taken(ram)).containsExactly(5L);
    }

    @Test
    void aMoveKeepsTheBitsWhereTheyAre() {
        DirtyBackingBlock ram = view.addBlock(host(0, 100));
        slot(1, LOG_DIRTY_PAGES, 0, host(0, 100));
        write(1, 5);
        slot(1, LOG_DIRTY_PAGES, 0x5000, host(0, 100));
        assertThat(taken(ram)).isEmpty();
        view.collectBitmaps();
        assertThat(taken(ram)).containsExactly(5L);
    }

    @Test
    void anInitiallySetLogMakesAllOfItsMemoryDirty() {
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 3);
        DirtyBackingBlock ram = view.addBlock(host(0, 130));
        slot(1, LOG_DIRTY_PAGES, 0, host(1, 129));
        view.collectBitmaps();
        assertThat(taken(ram)).hasSize(129).doesNotContain(0L);
    }

    @Test
    void slotsThatWereThereBeforeAndBlocksThatComeLaterAreKnown() {
        AddressSpaces others = new AddressSpaces(SlotConfig.x86());
        others.setUserMemoryRegion(
                new UserMemoryRegion(3, LOG_DIRTY_PAGES, 0, Page.bytesOf(10), HVA));
        DirtyModes otherModes = new DirtyModes(others, DirtyHardware.x86());
        DirtyBackingView late =
                DirtyBackingView.attach(others, new DirtyLog(others, otherModes, protector));
        DirtyBackingBlock ram = late.addBlock(host(0, 10));
        others.markDirty(Objects.requireNonNull(others.slotOf(3)), 4, DirtySink.NO_VCPU);
        late.collectBitmaps();
        assertThat(taken(ram)).containsExactly(4L);

        late.removeBlock(ram);
        others.markDirty(Objects.requireNonNull(others.slotOf(3)), 4, DirtySink.NO_VCPU);
        late.collectBitmaps();
        assertThat(taken(ram)).isEmpty();
        assertThat(late.unbackedPages()).isEqualTo(1);
    }

    @Test
    void blocksDoNotOverlap() {
        DirtyBackingBlock block = view.addBlock(host(0, 10));
        assertThat(errno(() -> view.addBlock(host(9, 1)))).isEqualTo(Errno.EEXIST);
        assertThat(errno(() -> view.addBlock(host(100, 1L << 31)))).isEqualTo(Errno.EINVAL);
        view.removeBlock(block);
        assertThat(errno(() -> view.removeBlock(block))).isEqualTo(Errno.ENOENT);
        assertThat(view.addBlock(host(9, 1)).host()).isEqualTo(host(9, 1));
    }

    private static Errno errno(ThrowingCallable call) {
        return catchThrowableOfType(MdevException.class, call).errno();
    }

    @Test
    void ringEntriesAreMergedBySlotNumberAlsoAfterTheSlotIsGone() {
        RingBench bench = new RingBench();
        DirtyRing ring = bench.vcpu(0);
        DirtyLog log = new DirtyLog(bench.slots, bench.modes, bench.protector);
        DirtyBackingView rings = DirtyBackingView.attach(bench.slots, log);
        Memslot slot = bench.logged(2, 100);
        DirtyBackingBlock ram =
                rings.addBlock(HvaRange.ofPages(slot.hva() - Page.bytesOf(10), 200));
        ring.push(2, 0);
        ring.push(2, 99);
        ring.push(2, 0);
        ring.push(7, 3);
        ring.push(2, 100);
        bench.slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(2));

        DirtyRingHarvester harvester = RingBench.harvester(ring);
        assertThat(rings.collectRing(harvester, 2)).isEqualTo(2);
        assertThat(taken(ram)).containsExactly(10L, 109L);
        assertThat(rings.collectRing(harvester, 100)).isEqualTo(3);
        assertThat(taken(ram)).containsExactly(10L);
        assertThat(rings.unbackedPages()).isEqualTo(2);
        assertThat(bench.reset()).isEqualTo(5);
    }

    @Test
    void randomSlotsAgreeWithAMapOfHostPages() {
        Seeded.run(150, random -> new World(random).run(60));
    }

    /// Blocks, slots that show parts of them here and there, and a set of dirty host pages.
    private static final class World {
        private static final int HOST_PAGES = 600;

        private final SplittableRandom random;
        private final DirtyBackingViewTest bench = new DirtyBackingViewTest();
        private final Map<DirtyBackingBlock, Long> blocks = new HashMap<>();
        private final Set<Long> expected = new HashSet<>();
        private final List<Integer> present = new ArrayList<>();
        private long unbacked;

        World(SplittableRandom random) {
            this.random = random;
            for (long first = 0; first < HOST_PAGES; ) {
                long npages = 1 + random.nextLong(150);
                if (random.nextInt(5) > 0) {
                    blocks.put(bench.view.addBlock(host(first, npages)), first);
                }
                first += npages;
            }
        }

        void run(int steps) {
            for (int i = 0; i < steps; i++) {
                step();
            }
            bench.view.collectBitmaps();
            check();
        }

        private void step() {
            switch (random.nextInt(8)) {
                case 0 -> create();
                case 1 -> change();
                case 2 -> {
                    bench.view.collectBitmaps();
                    check();
                }
                default -> write();
            }
        }

        private void create() {
            int slotNumber = random.nextInt(2) << 16 | random.nextInt(6);
            if (present.contains(slotNumber)) {
                return;
            }
            long npages = 1 + random.nextLong(200);
            bench.slot(
                    slotNumber,
                    LOG_DIRTY_PAGES,
                    (slotNumber & 0xffff) * 0x1000L,
                    host(random.nextLong(HOST_PAGES), npages));
            present.add(slotNumber);
        }

        private void change() {
            if (present.isEmpty()) {
                return;
            }
            Integer slotNumber = present.get(random.nextInt(present.size()));
            UserMemoryRegion region =
                    Objects.requireNonNull(bench.slots.slotOf(slotNumber)).region();
            if (random.nextBoolean()) {
                bench.slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(slotNumber));
                present.remove((Object) slotNumber);
            } else {
                int flags = random.nextInt(3) == 0 ? 0 : LOG_DIRTY_PAGES;
                long gpa = (slotNumber & 0xffff) * 0x100_0000L + random.nextLong(0x100) * 0x1000;
                bench.slots.setUserMemoryRegion(
                        new UserMemoryRegion(
                                slotNumber, flags, gpa, region.sizeBytes(), region.hva()));
            }
        }

        private void write() {
            if (present.isEmpty()) {
                return;
            }
            int slotNumber = present.get(random.nextInt(present.size()));
            Memslot slot = Objects.requireNonNull(bench.slots.slotOf(slotNumber));
            long index = random.nextLong(slot.npages());
            DirtyBitmap bitmap = slot.bitmap();
            if (bitmap == null) {
                return;
            }
            long hostPage = Page.numberOf(slot.hva() - HVA) + index;
            boolean backed =
                    blocks.keySet().stream()
                            .anyMatch(
                                    block -> block.host().contains(HVA + Page.addressOf(hostPage)));
            if (backed) {
                expected.add(hostPage);
            } else if (!bitmap.test(index)) {
                unbacked++;
            }
            bench.write(slotNumber, index);
        }

        private void check() {
            Set<Long> found = new HashSet<>();
            blocks.forEach((block, first) -> taken(block).forEach(page -> found.add(first + page)));
            assertThat(found).isEqualTo(expected);
            assertThat(bench.view.unbackedPages()).isEqualTo(unbacked);
            expected.clear();
        }
    }
}
