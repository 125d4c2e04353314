package dev.mdev.core.mmu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/// Random slot changes, guest accesses, revocations and harvests, against a model of a few maps.
/// The guest's view, memory and the dirty reports must be equal throughout.
@Tag("slow")
class MmuModelTest {
    private static final int SLOTS = 6;
    private static final int BACKING_PAGES = 24;
    private static final int BACKINGS = 3;
    private static final int GUEST_PAGES = 64;
    private static final int WORDS_A_PAGE = 4;

    private final long seed = Long.getLong("mdev.seed", new SplittableRandom().nextLong());
    private final SplittableRandom random = new SplittableRandom(seed);
    private final MmuMachine machine = new MmuMachine(SlotConfig.x86());
    private final List<Vma> backings = new ArrayList<>();

    /// The model: slots, memory by backing and word, dirty pages by slot.
    private final Map<Integer, Slot> slots = new HashMap<>();

    private final Map<Long, Long> memory = new HashMap<>();
    private final Map<Integer, Set<Long>> dirty = new HashMap<>();

    /// What was reported dirty.
    private final Map<Integer, Set<Long>> reported = new HashMap<>();

    private record Slot(int flags, long gfn, long npages, int backing, long backingPage) {
        boolean contains(long frame) {
            return frame >= gfn && frame < gfn + npages;
        }

        boolean logs() {
            return (flags & SlotFlags.LOG_DIRTY_PAGES) != 0;
        }

        boolean isReadonly() {
            return (flags & SlotFlags.READONLY) != 0;
        }
    }

    @Test
    void guestMemoryAndLogEqualAPlainModelUnderRandomOperations() {
        try (machine) {
            for (int i = 0; i < BACKINGS; i++) {
                backings.add(i == 0 ? machine.map(BACKING_PAGES) : lazyBacking());
            }
            machine.slots.setDirtySink((slot, page, vcpu) ->
                    reported.computeIfAbsent(slot.slotNumber(), _ -> new HashSet<>()).add(page));
            int operations = Integer.getInteger("mdev.model.ops", 1_000_000);
            for (int i = 0; i < operations; i++) {
                step();
            }
        } catch (AssertionError e) {
            throw new AssertionError("-Dmdev.seed=" + seed, e);
        }
    }

    /// Grants single pages in reverse order, so that nothing is contiguous by accident, and loads
    /// only for loads.
    private Vma lazyBacking() {
        HostMemory.Block block = machine.memory.allocate("lazy", BACKING_PAGES);
        return machine.guest
                .hostMm()
                .reserve(
                        BACKING_PAGES,
                        Prot.READ_WRITE,
                        0,
                        fault ->
                                new Fill.Map(
                                        fault.page(),
                                        new PfnRange(block.pfns().endPfn() - 1 - fault.page(), 1),
                                        fault.access() == Access.READ
                                                ? Prot.READ
                                                : Prot.READ_WRITE));
    }

    private void step() {
        int kind = random.nextInt(100);
        if (kind < 8) {
            changeSlot();
        } else if (kind < 12) {
            zap();
        } else if (kind < 15) {
            harvest();
        } else if (kind < 60) {
            store();
        } else {
            load();
        }
    }

    private void changeSlot() {
        int number = random.nextInt(SLOTS);
        Slot old = slots.get(number);
        Slot asked = randomSlot(old);
        if (old != null && random.nextInt(4) == 0) {
            machine.delete(number);
            slots.remove(number);
            dirty.remove(number);
            reported.remove(number);
            return;
        }
        @Nullable Errno expected = expectedErrno(number, old, asked);
        Errno actual = null;
        try {
            machine.slot(
                    number,
                    asked.flags,
                    Page.addressOf(asked.gfn),
                    Page.addressOf(asked.npages),
                    backings.get(asked.backing).range().startHva()
                            + Page.addressOf(asked.backingPage));
        } catch (MdevException e) {
            actual = e.errno();
        }
        assertThat(actual).as("slot=%d old=%s asked=%s", number, old, asked).isEqualTo(expected);
        if (expected == null) {
            if (old == null || old.logs() != asked.logs()) {
                dirty.remove(number);
                reported.remove(number);
            }
            slots.put(number, asked);
        }
    }

    private Slot randomSlot(@Nullable Slot old) {
        int flags = random.nextInt(4);
        if (old != null && random.nextInt(3) > 0) {
            // A change of place or of logging, most often one that is allowed.
            int kept = random.nextInt(8) == 0 ? flags : old.flags ^ (flags & 1);
            long gfn = random.nextBoolean() ? old.gfn : random.nextInt(GUEST_PAGES);
            return new Slot(kept, gfn, old.npages, old.backing, old.backingPage);
        }
        long npages = 1 + random.nextLong(BACKING_PAGES / 2);
        return new Slot(
                flags,
                random.nextInt(GUEST_PAGES),
                npages,
                random.nextInt(BACKINGS),
                random.nextInt((int) (BACKING_PAGES - npages + 1)));
    }

    private @Nullable Errno expectedErrno(int number, @Nullable Slot old, Slot asked) {
        if (old != null) {
            boolean same =
                    old.backing == asked.backing
                            && old.backingPage == asked.backingPage
                            && old.npages == asked.npages
                            && old.isReadonly() == asked.isReadonly();
            if (!same) {
                return Errno.EINVAL;
            }
            if (old.gfn == asked.gfn) {
                return null;
            }
        }
        for (Map.Entry<Integer, Slot> other : slots.entrySet()) {
            Slot slot = other.getValue();
            if (other.getKey() != number
                    && slot.gfn < asked.gfn + asked.npages
                    && asked.gfn < slot.gfn + slot.npages) {
                return Errno.EEXIST;
            }
        }
        return null;
    }

    private void zap() {
        Vma vma = backings.get(random.nextInt(BACKINGS));
        int first = random.nextInt(BACKING_PAGES);
        int npages = 1 + random.nextInt(BACKING_PAGES - first);
        machine.guest
                .hostMm()
                .zap(HvaRange.ofPages(vma.range().startHva() + Page.addressOf(first), npages));
    }

    /// Takes the log of one slot and protects its pages again.
    private void harvest() {
        int number = random.nextInt(SLOTS);
        Slot slot = slots.get(number);
        if (slot == null || !slot.logs()) {
            return;
        }
        Set<Long> pages = reported.getOrDefault(number, Set.of());
        assertThat(pages)
                .as("dirty pages of slot=%d %s", number, slot)
                .isEqualTo(dirty.getOrDefault(number, Set.of()));
        var published = machine.slots.slotOf(number);
        assertThat(published).isNotNull();
        if (published != null) {
            pages.forEach(page -> machine.guest.mmu().writeProtect(published, page, 1));
        }
        reported.remove(number);
        dirty.remove(number);
    }

    private void store() {
        long gpa = randomGpa();
        long value = random.nextLong();
        Map.Entry<Integer, Slot> hit = slotAt(gpa);

        VcpuExit exit = machine.store(gpa, value);

        if (hit == null || hit.getValue().isReadonly()) {
            assertThat(exit).isEqualTo(new VcpuExit.MmioWrite(gpa, 8, value));
            return;
        }
        assertThat(exit).as("gpa=0x%x slot=%s", gpa, hit).isInstanceOf(VcpuExit.Done.class);
        Slot slot = hit.getValue();
        memory.put(keyOf(slot, gpa), value);
        if (slot.logs()) {
            dirty.computeIfAbsent(hit.getKey(), _ -> new HashSet<>())
                    .add(Page.numberOf(gpa) - slot.gfn);
        }
    }

    private void load() {
        long gpa = randomGpa();
        Map.Entry<Integer, Slot> hit = slotAt(gpa);
        if (hit == null) {
            assertThat(machine.tryLoad(gpa)).isEqualTo(new VcpuExit.MmioRead(gpa, 8));
        } else {
            assertThat(machine.load(gpa))
                    .as("gpa=0x%x slot=%s", gpa, hit)
                    .isEqualTo(memory.getOrDefault(keyOf(hit.getValue(), gpa), 0L));
        }
    }

    private long randomGpa() {
        return Page.addressOf(random.nextInt(GUEST_PAGES + BACKING_PAGES))
                + 8L * random.nextInt(WORDS_A_PAGE);
    }

    private Map.@Nullable Entry<Integer, Slot> slotAt(long gpa) {
        for (Map.Entry<Integer, Slot> entry : slots.entrySet()) {
            if (entry.getValue().contains(Page.numberOf(gpa))) {
                return entry;
            }
        }
        return null;
    }

    private static long keyOf(Slot slot, long gpa) {
        long page = slot.backingPage + Page.numberOf(gpa) - slot.gfn;
        return (slot.backing * 1_000L + page) * Page.SIZE + Page.offsetOf(gpa);
    }
}
