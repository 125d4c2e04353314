package dev.mdev.core.hostmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;

/// One lazy [Vma] against an array of entries: random grants, faults and zaps.
class VmaModelTest {
    private static final long FIRST_HVA = 0x4000_0000L;

    @Test
    void entriesAreThoseOfTheGrantsLessWhatWasZapped() {
        Seeded.run(
                200,
                random -> {
                    Model model = new Model(random);
                    for (int step = 0; step < 60; step++) {
                        model.step();
                        model.compare();
                    }
                });
    }

    /// What the engine was told, what the owner was told, and what must be mapped.
    private static final class Model implements HostPageTable, VmaOps {
        private final SplittableRandom random;
        private final int npages;
        private final long objectPage;
        private final HostMemory memory = new HostMemory(new OffHeapBackend());
        private final HostMm mm = new HostMm(this, memory, Duration.ofSeconds(60));
        private final Prot most;
        private final Vma vma;

        private final long[] expected;
        private final long[] engine;
        private final boolean[] owner;

        /// The grant of the fault under way, and whether the engine can hold more than one page.
        private Fill.@Nullable Map answer;

        private boolean engineIsFull;
        private int questions;

        Model(SplittableRandom random) {
            this.random = random;
            npages = random.nextInt(1, 1200);
            objectPage = random.nextInt(3) * 17L;
            most = random.nextInt(4) == 0 ? Prot.READ : Prot.READ_WRITE;
            expected = new long[npages];
            engine = new long[npages];
            owner = new boolean[npages];
            vma = mm.reserve(npages, most, objectPage, this);
        }

        void step() {
            if (random.nextInt(3) == 0) {
                int first = random.nextInt(npages);
                int count = random.nextInt(1, Math.min(npages - first, 600) + 1);
                mm.zap(HvaRange.ofPages(hva(first), count));
                Arrays.fill(expected, first, first + count, HostPte.NONE);
            } else {
                fault();
            }
        }

        private void fault() {
            int page = random.nextInt(npages);
            Access access = most == Prot.READ || random.nextBoolean() ? Access.READ : Access.WRITE;
            int before = random.nextInt(Math.min(page, 40) + 1);
            int after = random.nextInt(Math.min(npages - page - 1, 40) + 1);
            int first = page - before;
            Prot prot =
                    access == Access.WRITE || random.nextBoolean() ? Prot.READ_WRITE : Prot.READ;
            long firstPfn = random.nextInt(1, 1 << 20);
            PfnRange pfns = new PfnRange(firstPfn, before + 1L + after);
            answer = new Fill.Map(objectPage + first, pfns, prot);
            engineIsFull = random.nextInt(4) == 0;
            questions = 0;
            long present = expected[page];
            boolean allowed = HostPte.isPresent(present) && HostPte.prot(present).allows(access);

            FaultResult result = mm.handleFault(hva(page), access);

            assertThat(questions).isEqualTo(allowed ? 0 : 1);
            if (!allowed) {
                expected[page] = HostPte.NONE;
                install(page, first, first + (int) pfns.npages(), firstPfn - first, prot);
            }
            assertThat(result).isEqualTo(new FaultResult.Mapped(expected[page]));
        }

        /// Absent pages of a grant are mapped; with an engine that holds single pages only, just
        /// the touched one and single gaps may be.
        private void install(int page, int first, int end, long skew, Prot prot) {
            for (int at = first; at < end; at++) {
                boolean wanted = !HostPte.isPresent(expected[at]);
                boolean held = HostPte.isPresent(engine[at]);
                if (wanted && (at == page || !engineIsFull || held)) {
                    expected[at] = HostPte.of(at + skew, prot.and(most));
                }
            }
        }

        void compare() {
            long resident = 0;
            for (int page = 0; page < npages; page++) {
                assertThat(mm.lookup(hva(page))).as("page %d", page).isEqualTo(expected[page]);
                assertThat(engine[page]).as("engine's page %d", page).isEqualTo(expected[page]);
                boolean present = HostPte.isPresent(expected[page]);
                assertThat(owner[page]).as("owner's page %d", page).isEqualTo(present);
                resident += present ? 1 : 0;
            }
            assertThat(vma.residentPages()).isEqualTo(resident);
            compareLevels();
        }

        /// 2 MiB exactly where 512 neighbours are in order, as aligned as their addresses.
        private void compareLevels() {
            int page = random.nextInt(npages);
            long block = Page.numberOf(hva(page)) & -512L;
            int first = (int) (block - Page.numberOf(FIRST_HVA));
            boolean whole = first >= 0 && first + 512 <= npages;
            for (int i = 0; whole && i < 512; i++) {
                whole =
                        HostPte.isPresent(expected[first])
                                && HostPte.pfn(expected[first]) % 512 == 0
                                && HostPte.pfn(expected[first + i])
                                        == HostPte.pfn(expected[first]) + i
                                && HostPte.prot(expected[first + i])
                                        == HostPte.prot(expected[first]);
            }
            assertThat(mm.mappingLevel(hva(page))).isEqualTo(whole ? 2 : 1);
        }

        private static long hva(int page) {
            return FIRST_HVA + Page.addressOf(page);
        }

        @Override
        public Fill fault(VmaFault fault) {
            questions++;
            assertThat(fault.firstPage()).isEqualTo(objectPage);
            assertThat(fault.endPage()).isEqualTo(objectPage + npages);
            return Objects.requireNonNull(answer);
        }

        @Override
        public void installed(long firstPage, long count) {
            for (long page = firstPage; page < firstPage + count; page++) {
                assertThat(owner[(int) (page - objectPage)]).as("new: %d", page).isFalse();
                owner[(int) (page - objectPage)] = true;
            }
        }

        @Override
        public void removed(long page) {
            assertThat(owner[(int) (page - objectPage)]).as("was there: %d", page).isTrue();
            owner[(int) (page - objectPage)] = false;
        }

        @Override
        public HvaRange reserve(long pages, Kind kind) {
            return HvaRange.ofPages(FIRST_HVA, pages);
        }

        @Override
        public void release(HvaRange range) {}

        @Override
        public void map(long hva, PfnRange pfns, Prot prot) {
            if (engineIsFull && pfns.npages() > 1) {
                throw new MdevException(Errno.ENOMEM, "refused by the test");
            }
            int first = (int) Page.numberOf(hva - FIRST_HVA);
            for (int i = 0; i < pfns.npages(); i++) {
                assertThat(engine[first + i]).as("nothing mapped there").isEqualTo(HostPte.NONE);
                engine[first + i] = HostPte.of(pfns.firstPfn() + i, prot);
            }
        }

        @Override
        public void zap(HvaRange range) {
            int first = (int) Page.numberOf(range.startHva() - FIRST_HVA);
            for (int i = 0; i < range.npages(); i++) {
                assertThat(HostPte.isPresent(engine[first + i])).as("mapped there").isTrue();
                engine[first + i] = HostPte.NONE;
            }
        }
    }

    /// A whole block, aligned: what random grants rarely make.
    @Test
    void aBlockOfNeighboursInOrderIsOneLargePieceAndAnyFlawMakesItSmall() {
        for (Flaw flaw : Flaw.values()) {
            try (HostMemory memory = new HostMemory(new OffHeapBackend())) {
                RecordingPageTable pageTable = new RecordingPageTable();
                HostMm mm = new HostMm(pageTable, memory, Duration.ofSeconds(60));
                Vma vma = mm.reserve(1536, Prot.READ_WRITE, 0, fault -> flaw.grant(fault.page()));
                long start = -vma.range().startHva() & ((2 << 20) - 1);
                for (long page = 0; page < 512; page++) {
                    mm.handleFault(
                            vma.range().startHva() + start + Page.addressOf(page), Access.READ);
                }
                long firstPage = Page.numberOf(start);
                assertThat(firstPage).as("the test's grants count on it").isZero();

                assertThat(mm.mappingLevel(vma.range().startHva()))
                        .as("%s", flaw)
                        .isEqualTo(flaw == Flaw.NONE ? 2 : 1);
                assertThat(mm.mappingLevel(vma.range().startHva() + Page.addressOf(511)))
                        .isEqualTo(flaw == Flaw.NONE ? 2 : 1);
                assertThat(mm.mappingLevel(vma.range().startHva() + Page.addressOf(512))).isOne();
            }
        }
    }

    private enum Flaw {
        NONE,
        SKEWED,
        SWAPPED,
        LAST_MISSING_RIGHT,
        FIRST_MISSING_RIGHT;

        Fill grant(long page) {
            long pfn = 512 * 7 + page + (this == SKEWED ? 1 : 0);
            if (this == SWAPPED && (page == 100 || page == 101)) {
                pfn = 512 * 7 + (201 - page);
            }
            boolean readOnly =
                    (this == LAST_MISSING_RIGHT && page == 511)
                            || (this == FIRST_MISSING_RIGHT && page == 0);
            return new Fill.Map(page, new PfnRange(pfn, 1), readOnly ? Prot.READ : Prot.READ_WRITE);
        }
    }
}
