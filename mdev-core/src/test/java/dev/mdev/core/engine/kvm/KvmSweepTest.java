package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.engine.kvm.mm.VmaBudget;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// A guest walks through a whole BAR page by page in random order, over an owner that permutes its
/// pages, so that every page needs a kernel mapping of its own; and there are fewer mappings than
/// pages.
///
/// `-Dmdev.kvm.sweep.mib=1024 -Dmdev.kvm.sweep.mappings=49000 -Dmdev.kvm.killAfterSeconds=1200` is
/// the walk that the benchmarks quote.
@RealKvm
@Tag("slow")
class KvmSweepTest {
    private static final int NPAGES =
            Integer.getInteger("mdev.kvm.sweep.mib", 32) << (20 - Page.SHIFT);
    private static final int MAPPINGS = Integer.getInteger("mdev.kvm.sweep.mappings", 1500);

    /// A bijection of the numbers below a power of two that leaves no two neighbours together.
    private record Permutation(int size, int factor, int offset) {
        static Permutation random(SplittableRandom random) {
            assertThat(Integer.bitCount(NPAGES)).as("a power of two").isOne();
            return new Permutation(NPAGES, 3 + 2 * random.nextInt(NPAGES), random.nextInt(NPAGES));
        }

        int at(long index) {
            return (int) ((index * factor + offset) & (size - 1));
        }
    }

    @Test
    void everyPageOfAPermutedBarHoldsWhatTheGuestStoredThere() {
        Seeded.run(1, KvmSweepTest::sweep);
    }

    private static void sweep(SplittableRandom random) {
        Permutation placement = Permutation.random(random);
        VmaBudget budget = new VmaBudget(MAPPINGS);
        try (Machine machine =
                new Machine(NPAGES, Syscalls.ofThisProcess(), Machine.PATIENCE, budget)) {
            Vma vma = machine.bar(NPAGES, machine.pageByPage(page -> (long) placement.at(page)));
            Machine.Cpu cpu = machine.cpu();
            Permutation storing = Permutation.random(random);
            for (int i = 0; i < NPAGES; i++) {
                int page = storing.at(i);
                assertThat(cpu.store(Machine.gpa(page), 8, valueOf(page)))
                        .isEqualTo(new VcpuExit.Done());
                assertThat(budget.used()).isLessThanOrEqualTo(MAPPINGS);
            }
            Permutation loading = Permutation.random(random);
            List<Long> loaded = new ArrayList<>();
            for (int i = 0; i < NPAGES; i++) {
                int page = loading.at(i);
                loaded.clear();
                assertThat(cpu.load(Machine.gpa(page), 8, loaded)).isEqualTo(new VcpuExit.Done());
                assertThat(loaded).containsExactly(valueOf(page));
            }
            for (int page = 0; page < NPAGES; page++) {
                long physical = Page.addressOf(placement.at(page));
                assertThat(machine.aperture.segment().get(ValueLayout.JAVA_LONG, physical))
                        .as("page=" + page)
                        .isEqualTo(valueOf(page));
            }
            assertThat(vma.residentPages()).isEqualTo(NPAGES);
            assertThat(machine.guest.faultCounts().evictedMappings()).isPositive();
        }
        assertThat(budget.used()).isZero();
    }

    private static long valueOf(int page) {
        return 0x5EED_0000_0000L + page;
    }
}
