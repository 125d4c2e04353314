package dev.mdev.core.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.Fill;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.support.Together;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.Timeout.ThreadMode;

import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

/// Stores of eight bytes, four on either side of a page boundary, whose pages' owner may refuse
/// either page.
@Timeout(value = 900, threadMode = ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class CrossingStoreTest {
    private static final VarHandle INT =
            ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

    private static final int REVOCATIONS = 2000 * Integer.getInteger("mdev.rounds", 1);

    @Test
    void aStoreWhosePageFailsStoresNothing() {
        for (int refused = 0; refused < 2; refused++) {
            try (Machine machine = new Machine()) {
                machine.refused.set(1 << refused);
                assertThat(machine.store(-1))
                        .isInstanceOfSatisfying(
                                VcpuExit.Fault.class,
                                fault -> assertThat(fault.refusal().errno()).isEqualTo(Errno.EIO));
                assertThat(machine.half(0)).isZero();
                assertThat(machine.half(1)).isZero();

                machine.refused.set(0);
                assertThat(machine.store(-1)).isInstanceOf(VcpuExit.Done.class);
                assertThat(machine.half(0)).isEqualTo(-1);
                assertThat(machine.half(1)).isEqualTo(-1);
            }
        }
    }

    /// Linux's emulator makes an exit of everything that memory cannot serve.
    @Test
    void besideNothingAFailingPageIsOneMoreExit() {
        try (Machine machine = new Machine()) {
            machine.refused.set(1);
            assertThat(machine.run(Machine.GPA - 4, 8, -1))
                    .isEqualTo(new VcpuExit.MmioWrite(Machine.GPA - 4, 4, 0xffff_ffffL));
            assertThat(machine.resume())
                    .isEqualTo(new VcpuExit.MmioWrite(Machine.GPA, 4, 0xffff_ffffL));
            assertThat(machine.resume()).isInstanceOf(VcpuExit.Done.class);
        }
    }

    @Test
    void noStoreIsSeenHalfDoneBesideAPageThatIsTakenAway() {
        assertThat(halvesDiffer(false, REVOCATIONS)).isFalse();
    }

    @Test
    void aProcessorThatStoresPageByPageIsFound() {
        Together.untilFound(() -> halvesDiffer(true, REVOCATIONS));
    }

    /// Lets a processor store ever larger numbers while pages are taken away, one or the other.
    ///
    /// @param pageByPage whether the processor is wrong
    /// @return whether, with a page taken away, there ever was half a store, or still a store
    private static boolean halvesDiffer(boolean pageByPage, int revocations) {
        AtomicBoolean wrong = new AtomicBoolean();
        AtomicBoolean over = new AtomicBoolean();
        try (Machine machine = new Machine()) {
            Together.run(
                    () -> {
                        for (int value = 1; !over.get(); value++) {
                            if (pageByPage) {
                                machine.storePageByPage(value);
                            } else {
                                machine.store(value);
                            }
                        }
                    },
                    () -> {
                        SplittableRandom random = new SplittableRandom(1);
                        for (int i = 0; i < revocations && !wrong.get(); i++) {
                            wrong.set(machine.takeAndLook(random));
                            Together.pause(random);
                        }
                        over.set(true);
                    });
        }
        return wrong.get();
    }

    /// Two pages that are mapped one by one, when they are touched.
    private static final class Machine implements AutoCloseable {
        static final long GPA = Page.addressOf(0x10);
        private static final long STORE_GPA = GPA + Page.SIZE - Integer.BYTES;

        /// A bit for each page that its owner refuses.
        final AtomicInteger refused = new AtomicInteger();

        private final HostMemory memory = new HostMemory(new OffHeapBackend());
        private final HostMemory.Block block = memory.allocate("pages", 2);
        private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        private final SoftwareGuest guest =
                new SoftwareEngine(Together.LIMIT).createGuest(slots, memory);
        private final Vma vma =
                guest.hostMm().reserve(2, Prot.READ_WRITE, 0, fault -> fill(fault.page()));
        private final SoftwareVcpu vcpu = guest.createVcpu(0);

        Machine() {
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(1, 0, GPA, Page.addressOf(2), vma.range().startHva()));
        }

        private Fill fill(long page) {
            if ((refused.get() & 1 << page) != 0) {
                return new FaultResult.Failed(Errno.EIO, "refused");
            }
            PfnRange pfn = new PfnRange(block.pfns().firstPfn() + page, 1);
            return new Fill.Map(page, pfn, Prot.READ_WRITE);
        }

        /// Stores a number to both halves.
        VcpuExit store(int value) {
            return run(
                    STORE_GPA, Long.BYTES, ((long) value << Integer.SIZE) | (value & 0xffff_ffffL));
        }

        VcpuExit run(long gpa, int widthBytes, long value) {
            vcpu.submit(
                    new GuestAccess.Store(new GuestAccess.Span(gpa, widthBytes, 1, 0), value, 0));
            return vcpu.run();
        }

        VcpuExit resume() {
            return vcpu.run();
        }

        /// A mistake: as if the store were two.
        void storePageByPage(int value) {
            if (run(STORE_GPA, Integer.BYTES, value) instanceof VcpuExit.Done) {
                var _ = run(STORE_GPA + Integer.BYTES, Integer.BYTES, value);
            }
        }

        int half(int page) {
            long at = page == 0 ? Page.SIZE - Integer.BYTES : Page.SIZE;
            return (int) INT.getVolatile(block.segment(), at);
        }

        /// Takes a page away, and gives it back.
        ///
        /// @return whether there was half a store in the meantime, or a store at all
        boolean takeAndLook(SplittableRandom random) {
            int page = random.nextInt(2);
            refused.set(1 << page);
            guest.hostMm()
                    .zap(new HvaRange(vma.range().startHva() + Page.bytesOf(page), Page.SIZE));
            int first = half(0);
            int second = half(1);
            Together.pause(random);
            boolean wrong = first != second || first != half(0) || second != half(1);
            refused.set(0);
            return wrong;
        }

        @Override
        public void close() {
            vcpu.close();
            guest.close();
            memory.close();
        }
    }
}
