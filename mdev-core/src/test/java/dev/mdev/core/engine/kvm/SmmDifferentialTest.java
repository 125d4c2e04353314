package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.x86.SmmState;
import dev.mdev.gate.OnlyInBox;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.util.SplittableRandom;

/// Random guest programs that enter and leave system management mode, in the kernel and in our
/// model: the same modes, values, exits, error numbers, dirty bits of each address space, and ring
/// entries. A program begins on a machine without slots, and may end it; then the next one gets a
/// new machine.
///
/// `-Dmdev.smm.programs=N` sets how many programs run, half of them with rings.
@RealKvm
@OnlyInBox
@Tag("slow")
class SmmDifferentialTest {
    private static final int PROGRAMS = Integer.getInteger("mdev.smm.programs", 200);
    private static final int PER_MACHINE = 10;
    private static final int STEPS = 24;
    private static final long GFNS = 400;

    /// Slots of each address space.
    private static final int SLOTS = 3;

    /// The saved smbase, from the start of the saved state.
    private static final long SAVED_SMBASE = 0x100;

    @Test
    void programsWithBitmapsAreAsInTheKernel() {
        Tally tally = new Tally();
        Seeded.run(PROGRAMS / 2 / PER_MACHINE, random -> run(random, 0, tally));
        tally.check();
    }

    @Test
    void programsWithRingsAreAsInTheKernel() {
        Tally tally = new Tally();
        Seeded.run(PROGRAMS / 2 / PER_MACHINE, random -> run(random, Page.SIZE, tally));
        tally.check();
        assertThat(tally.ringEntries).as("entries that were compared").isPositive();
    }

    /// What the programs did, all together.
    private static final class Tally {
        private int programs;
        private int entries;
        private int deaths;
        private int ringEntries;

        /// Programs that never get into the mode would compare nothing.
        void check() {
            System.out.printf(
                    "smm programs=%d entries=%d deaths=%d ringEntries=%d%n",
                    programs, entries, deaths, ringEntries);
            if (programs >= 50) {
                assertThat(entries).isGreaterThan(programs);
                assertThat(deaths).isPositive();
            }
        }
    }

    private static void run(SplittableRandom random, int ringBytes, Tally tally) {
        int programs = 0;
        while (programs < PER_MACHINE) {
            try (KernelAndModel pair = new KernelAndModel(ringBytes, true, true)) {
                boolean usable = true;
                while (usable && programs < PER_MACHINE) {
                    runProgram(pair, random, ringBytes != 0);
                    programs++;
                    usable = !pair.isDead() && !pair.smm().isInside() && !pair.smm().isWaiting();
                    if (usable) {
                        pair.clearSlots();
                    }
                }
                tally.entries += pair.smm().entries();
                tally.deaths += pair.isDead() ? 1 : 0;
                tally.ringEntries += pair.ringEntries;
            }
        }
        tally.programs += programs;
    }

    private static void runProgram(KernelAndModel pair, SplittableRandom random, boolean rings) {
        setUp(pair, random);
        for (int step = 0; step < STEPS; step++) {
            step(pair, random, rings);
        }
        for (int i = 0; i < 2 && pair.smm().isInside(); i++) {
            // A second interrupt may wait for the first RSM.
            pair.smm().rsm();
        }
        for (int slot = 0; slot < 2 * SLOTS && !rings; slot++) {
            pair.get(number(slot), false);
        }
        if (rings) {
            pair.harvest(Integer.MAX_VALUE);
            pair.reset();
        }
        pair.compareMemory();
    }

    /// Memory in both spaces, and, most times, memory for the state.
    private static void setUp(KernelAndModel pair, SplittableRandom random) {
        pair.smm().setSmbase(anySmbase(random));
        if (random.nextInt(10) != 0) {
            setUpState(pair, random);
        }
        for (int i = 0; i < 4; i++) {
            pair.set(anyRegion(pair, random));
        }
        if (random.nextInt(4) == 0) {
            pair.enable(DirtyModes.MANUAL_PROTECT2, random.nextInt(2));
        }
    }

    private static void setUpState(KernelAndModel pair, SplittableRandom random) {
        long state = Page.numberOf(pair.smm().smbase() + SmmState.OFFSET_FROM_SMBASE);
        long first = Math.max(0, state - random.nextLong(20));
        long pages = state + 2 - first + random.nextLong(20);
        pair.set(
                new UserMemoryRegion(
                        number(SLOTS),
                        random.nextInt(2),
                        Page.addressOf(first),
                        Page.addressOf(pages),
                        Page.addressOf(random.nextLong(KernelAndModel.NPAGES - pages))));
    }

    /// Sometimes one whose state crosses a page.
    private static long anySmbase(SplittableRandom random) {
        long base = random.nextInt(3) == 0 ? 0x3_0000 : random.nextLong(GFNS - 20) << Page.SHIFT;
        return switch (random.nextInt(4)) {
            case 0 -> base + 0x400 * random.nextLong(4);
            case 1 -> base + random.nextLong(Page.SIZE);
            default -> base;
        };
    }

    private static void step(KernelAndModel pair, SplittableRandom random, boolean rings) {
        switch (random.nextInt(20)) {
            case 0, 1, 2, 3 -> pair.smm().smi();
            case 4, 5, 6 -> pair.smm().rsm();
            case 7, 8 -> pair.set(anyRegion(pair, random));
            case 9 -> pair.get(number(random.nextInt(2 * SLOTS)), random.nextInt(8) == 0);
            case 10 ->
                    pair.clear(
                            new DirtyLogClear(
                                    number(random.nextInt(2 * SLOTS)),
                                    random.nextInt(3) * 64,
                                    random.nextInt(3) * 64L),
                            -1L << random.nextInt(Long.SIZE));
            case 11 -> {
                if (rings) {
                    pair.harvest(random.nextInt(40));
                    pair.reset();
                }
            }
            case 12 -> moveSmbase(pair, random);
            case 13 -> fill(pair, random, rings ? 60 : 4);
            default -> access(pair, random, anyGpa(pair, random));
        }
    }

    /// The handler moves the place where the next entry saves the state.
    private static void moveSmbase(KernelAndModel pair, SplittableRandom random) {
        if (pair.smm().isInside()) {
            pair.access(
                    Access.WRITE,
                    pair.smm().smbase() + SmmState.OFFSET_FROM_SMBASE + SAVED_SMBASE,
                    Integer.BYTES,
                    random.nextInt(3) == 0
                            ? anySmbase(random)
                            : pair.smm().smbase() + 0x200 * random.nextLong(-4, 5));
        }
    }

    /// Many pages, so that rings fill.
    private static void fill(KernelAndModel pair, SplittableRandom random, int pages) {
        long gfn = random.nextLong(GFNS);
        for (long i = 0; i < pages; i++) {
            store(pair, Page.addressOf(gfn + i), Long.BYTES, random.nextLong());
        }
    }

    private static long anyGpa(KernelAndModel pair, SplittableRandom random) {
        if (random.nextInt(4) == 0) {
            return pair.smm().smbase()
                    + SmmState.OFFSET_FROM_SMBASE
                    + random.nextLong(0x400)
                    - 0x100;
        }
        return Page.addressOf(random.nextLong(GFNS)) + random.nextLong(Page.SIZE);
    }

    private static void access(KernelAndModel pair, SplittableRandom random, long gpa) {
        int width = 1 << random.nextInt(4);
        if (random.nextInt(3) == 0) {
            pair.access(Access.READ, gpa, width, 0);
        } else {
            store(pair, gpa, width, random.nextLong());
        }
    }

    /// Not to the saved registers: what a processor refuses to load depends on the processor.
    private static void store(KernelAndModel pair, long gpa, int width, long value) {
        if (!pair.smm().isInside() || !pair.smm().hitsSavedState(gpa, width)) {
            pair.access(Access.WRITE, gpa, width, value);
        }
    }

    private static int number(int slot) {
        return slot < SLOTS ? slot : 1 << 16 | slot - SLOTS;
    }

    private static long anyHva(SplittableRandom random) {
        return Page.addressOf(random.nextLong(KernelAndModel.NPAGES))
                + (random.nextInt(12) == 0 ? KernelAndModel.READONLY_HVA : 0);
    }

    private static UserMemoryRegion anyRegion(KernelAndModel pair, SplittableRandom random) {
        int slot = number(random.nextInt(2 * SLOTS));
        if (random.nextInt(30) == 0) {
            slot = random.nextInt(1 << 18);
        }
        UserMemoryRegion former = pair.former(slot);
        if (former != null && slot == number(SLOTS) && random.nextInt(4) != 0) {
            // The slot of the state: without it, the next interrupt ends the machine.
            return withLogging(former, random);
        }
        if (former != null && random.nextInt(3) != 0) {
            return changeOf(former, random);
        }
        return new UserMemoryRegion(
                slot,
                random.nextInt(6) == 0 ? random.nextInt(4) : random.nextInt(2),
                Page.addressOf(random.nextLong(GFNS)),
                Page.addressOf(random.nextInt(8) == 0 ? 0 : 1 + random.nextLong(100)),
                anyHva(random));
    }

    private static UserMemoryRegion withLogging(UserMemoryRegion was, SplittableRandom random) {
        int flags = was.flags() ^ random.nextInt(2);
        return new UserMemoryRegion(was.slot(), flags, was.gpa(), was.sizeBytes(), was.hva());
    }

    private static UserMemoryRegion changeOf(UserMemoryRegion was, SplittableRandom random) {
        return switch (random.nextInt(4)) {
            case 0 ->
                    new UserMemoryRegion(
                            was.slot(),
                            was.flags() ^ random.nextInt(2),
                            Page.addressOf(random.nextLong(GFNS)),
                            was.sizeBytes(),
                            was.hva());
            case 1 -> new UserMemoryRegion(was.slot(), was.flags(), was.gpa(), 0, was.hva());
            default -> withLogging(was, random);
        };
    }
}
