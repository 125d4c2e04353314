package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.hostmm.VmaFault;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.support.Together;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;

/// Three virtual processors write to all pages of a BAR while pages are taken from under them. Each
/// page that was taken is stamped and waits long for its next use; a store that reached it after
/// the revocation returned would have changed the stamp.
///
/// `-Dmdev.kvm.revokes=200000 -Dmdev.kvm.killAfterSeconds=1200` is the run that the benchmarks
/// quote.
@RealKvm
@Tag("slow")
class KvmRevokeStormTest {
    private static final int NPAGES = 64;
    private static final int POOL = 4 * NPAGES;
    private static final int WRITERS = 3;
    private static final int REVOKES = Integer.getInteger("mdev.kvm.revokes", 4_000);

    /// With room for all mappings, and with so little that pages come and go all the time.
    @ParameterizedTest
    @ValueSource(ints = {40_000, 40})
    void noStoreReachesAPageThatWasRevoked(int mappings) {
        Seeded.run(
                1,
                random -> {
                    Storm storm = new Storm(random, true, mappings);
                    storm.run(REVOKES);
                    assertThat(storm.violations.get()).as("stores to revoked pages").isZero();
                    assertThat(storm.stores.get()).as("stores").isPositive();
                    assertThat(storm.grants.get()).as("grants").isGreaterThanOrEqualTo(REVOKES);
                });
    }

    /// That the test above can fail.
    @Test
    void aRevocationThatTakesNothingIsNoticed() {
        Seeded.run(
                1,
                random -> {
                    Storm storm = new Storm(random, false, 40_000);
                    storm.run(1000);
                    assertThat(storm.violations.get()).isPositive();
                });
    }

    /// One run.
    private static final class Storm {
        private final SplittableRandom random;
        private final boolean honest;
        private final int mappings;
        private final AtomicBoolean stop = new AtomicBoolean();

        /// The page of the aperture behind each page of the BAR.
        private final AtomicReferenceArray<Long> backing = new AtomicReferenceArray<>(NPAGES);

        /// Stamped pages, in the order of their retirement.
        private final ConcurrentLinkedQueue<Long> free = new ConcurrentLinkedQueue<>();

        final AtomicLong violations = new AtomicLong();
        final AtomicLong stores = new AtomicLong();
        final AtomicLong grants = new AtomicLong();

        /// @param honest whether pages are really taken
        Storm(SplittableRandom random, boolean honest, int mappings) {
            this.mappings = mappings;
            this.random = random;
            this.honest = honest;
        }

        void run(int revokes) {
            try (Machine machine =
                    new Machine(POOL, Syscalls.ofThisProcess(), Machine.PATIENCE, mappings)) {
                for (long page = 0; page < POOL; page++) {
                    retire(machine, page);
                }
                Vma vma = machine.bar(NPAGES, fault -> grant(machine, fault));
                List<CompletableFuture<Boolean>> writers = new ArrayList<>();
                for (int i = 0; i < WRITERS; i++) {
                    Machine.Cpu cpu = machine.cpu();
                    int cell = i;
                    writers.add(Machine.async(() -> write(cpu, cell)));
                }
                try {
                    // Else a machine that is slow to run the first guest has nothing to revoke.
                    awaitAnotherRound();
                    for (int i = 0; i < revokes; i++) {
                        revoke(machine, vma, honest ? grantedPage() : random.nextInt(NPAGES));
                    }
                    awaitAnotherRound();
                } finally {
                    stop.set(true);
                    writers.forEach(Machine::get);
                }
                for (Long page = free.poll(); page != null; page = free.poll()) {
                    check(machine, page);
                }
            }
        }

        /// Lets every writer reach every page once more.
        private void awaitAnotherRound() {
            long enough = stores.get() + 2L * WRITERS * NPAGES;
            Together.await("the writers went on", () -> stores.get() >= enough);
        }

        /// A page of the BAR that has something behind it, which the writers see to.
        private int grantedPage() {
            int[] index = {random.nextInt(NPAGES)};
            Together.await(
                    "a page is granted",
                    () -> {
                        index[0] = (index[0] + 1) % NPAGES;
                        return backing.get(index[0]) != null;
                    });
            return index[0];
        }

        private Fill grant(Machine machine, VmaFault fault) {
            Long page = free.poll();
            assertThat(page).as("more pages are granted than the BAR has").isNotNull();
            check(machine, page);
            grants.incrementAndGet();
            Long former = backing.getAndSet((int) fault.page(), page);
            if (former != null) {
                // It was revoked before it could be mapped, and the access asks again.
                retire(machine, former);
            }
            return new Fill.Map(fault.page(), new PfnRange(machine.pfn(page), 1), Prot.READ_WRITE);
        }

        private void revoke(Machine machine, Vma vma, int index) {
            Long page = backing.get(index);
            if (honest) {
                long hva = vma.range().startHva() + Page.addressOf(index);
                machine.guest.hostMm().zap(HvaRange.ofPages(hva, 1));
            }
            if (page != null && backing.compareAndSet(index, page, null)) {
                retire(machine, page);
            }
        }

        private void retire(Machine machine, long page) {
            for (int cell = 0; cell < WRITERS; cell++) {
                ValueLayout.JAVA_LONG
                        .varHandle()
                        .setVolatile(machine.aperture.segment(), offset(page, cell), stamp(page));
            }
            free.add(page);
        }

        private void check(Machine machine, long page) {
            for (int cell = 0; cell < WRITERS; cell++) {
                long found =
                        (long)
                                ValueLayout.JAVA_LONG
                                        .varHandle()
                                        .getVolatile(
                                                machine.aperture.segment(), offset(page, cell));
                if (found != stamp(page)) {
                    violations.incrementAndGet();
                }
            }
        }

        private static long offset(long page, int cell) {
            return Page.addressOf(page) + cell * 8L;
        }

        /// No guest stores it.
        private static long stamp(long page) {
            return -1 - page;
        }

        private void write(Machine.Cpu cpu, int cell) {
            long value = 0;
            while (!stop.get()) {
                GuestAccess.Span all =
                        new GuestAccess.Span(Machine.gpa(0) + cell * 8L, 8, NPAGES, Page.SIZE);
                assertThat(cpu.run(new GuestAccess.Store(all, value, 1)))
                        .isEqualTo(new VcpuExit.Done());
                value += NPAGES;
                stores.addAndGet(NPAGES);
            }
        }
    }
}
