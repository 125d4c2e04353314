package dev.mdev.core.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.engine.ScriptedDriver;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.HostPageTable;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.hostmm.Vma;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.time.Duration;
import java.util.Map;
import java.util.UUID;

/// A device whose mappings cannot be taken away when its holder lets it go.
class UnassignTest {
    private static final Duration DEADLINE = Duration.ofSeconds(60);

    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final ScriptedDriver driver = new ScriptedDriver();
    private final MdevBus bus = new MdevBus(memory, DEADLINE, MdevObserver.NONE);
    private final FailingPageTable pageTable = new FailingPageTable();
    private final HostMm mm = new HostMm(pageTable, memory, DEADLINE);
    private Mdev mdev;

    @BeforeEach
    void create() {
        bus.addDriver(driver, Map.of());
        mdev = bus.create(UUID.randomUUID(), ScriptedDriver.PARENT, ScriptedDriver.TYPE);
    }

    @AfterEach
    void close() {
        mm.close();
        bus.close();
        memory.close();
    }

    private Vma mapAndTouch(MdevAssignment assignment) {
        RegionInfo region = mdev.region(ScriptedDriver.LAZY_BAR);
        Vma vma = assignment.map(mm, region, region.areas().getFirst());
        assertThat(mm.handleFault(vma.range().startHva(), Access.WRITE))
                .isInstanceOf(FaultResult.Mapped.class);
        return vma;
    }

    private int resets() {
        return driver.devices.getFirst().resets.get();
    }

    private static void assertErrno(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void aDeviceThatIsStillMappedAndNotResetGoesToNobodyUntilAResetSucceeds() {
        MdevAssignment first = mdev.assign("first");
        Vma vma = mapAndTouch(first);
        pageTable.fails = true;

        assertErrno(Errno.ENOMEM, first::close);

        assertThat(mdev.holder()).as("it has no holder any more").isEmpty();
        assertThat(resets()).isZero();
        assertErrno(Errno.EIO, () -> mdev.assign("second"));
        assertErrno(Errno.ENOMEM, mdev::reset);
        assertErrno(Errno.EIO, () -> mdev.assign("second"));

        pageTable.fails = false;
        mdev.reset();

        assertThat(vma.residentPages()).as("the former guest's mapping").isZero();
        assertThat(resets()).isOne();
        MdevAssignment second = mdev.assign("second");
        assertThat(mdev.holder()).contains("second");
        second.close();
    }

    @Test
    void aDeviceThatWasUnmappedAndResetGoesToTheNextHolder() {
        MdevAssignment first = mdev.assign("first");
        Vma vma = mapAndTouch(first);

        first.close();

        assertThat(vma.residentPages()).isZero();
        assertThat(mdev.residentPages()).isZero();
        assertThat(resets()).isOne();
        mdev.assign("second").close();
    }

    /// An engine that cannot take mappings away while a test says so.
    private static final class FailingPageTable implements HostPageTable {
        private long next = 0x1000_0000;
        boolean fails;

        @Override
        public HvaRange reserve(long npages, Kind kind) {
            HvaRange range = HvaRange.ofPages(next, npages);
            next = range.endHva() + Page.SIZE;
            return range;
        }

        @Override
        public void release(HvaRange range) {}

        @Override
        public void map(long hva, PfnRange pfns, Prot prot) {}

        @Override
        public void zap(HvaRange range) {
            if (fails) {
                throw new MdevException(Errno.ENOMEM, "refused by the test");
            }
        }
    }
}
