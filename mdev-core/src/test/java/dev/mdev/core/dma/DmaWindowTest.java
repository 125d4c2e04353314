package dev.mdev.core.dma;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory.Pin;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;

/// A window over memory that changes just when a test wants it.
class DmaWindowTest {
    private static final long LIMIT_PAGES = 8;

    private final Memory memory = new Memory();
    private final DmaWindow window = new DmaWindow(memory, () -> true, LIMIT_PAGES);

    /// Memory at gfn 16 to 32, whose slot a test can move.
    private static final class Memory implements DmaMemory {
        final List<GfnRange> dirty = new ArrayList<>();
        long hvaOfFirst = 0x1000_0000;
        Runnable inFault = () -> {};
        Runnable inCopy = () -> {};
        int awaited;

        @Override
        public Copied copy(long gpa, MemorySegment buffer, Access access, BooleanSupplier allowed) {
            inCopy.run();
            return allowed.getAsBoolean()
                    ? new Copied(buffer.byteSize(), "")
                    : new Copied(0, "taken away");
        }

        @Override
        public long[] resolve(GfnRange gfns, Access access) {
            long[] hvas = new long[(int) gfns.npages()];
            for (int i = 0; i < hvas.length; i++) {
                long gfn = gfns.firstGfn() + i;
                if (gfn < 16 || gfn >= 32) {
                    throw new MdevException(Errno.EFAULT, "no memory: gfn=" + gfn);
                }
                hvas[i] = hvaOfFirst + Page.addressOf(gfn - 16);
            }
            return hvas;
        }

        @Override
        public String faultIn(long hva, Access access) {
            inFault.run();
            return "";
        }

        @Override
        public void markDirty(GfnRange gfns) {
            dirty.add(gfns);
        }

        @Override
        public void hold(Runnable action) {
            action.run();
        }

        @Override
        public void awaitHolds() {
            awaited++;
        }
    }

    private static void assertErrno(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    private Pin pin(long gfn, long npages, Access access) {
        return window.pin(Page.addressOf(gfn), npages, access);
    }

    private static MemorySegment bytes() {
        return MemorySegment.ofArray(new byte[8]);
    }

    @Test
    void aRangeThatIsAboutToGoIsNotPinnedAlsoIfItWasResolvedBefore() {
        memory.inFault = () -> window.refusePins(new GfnRange(19, 1));
        assertErrno(Errno.EFAULT, () -> pin(16, 4, Access.READ));
        memory.inFault = () -> {};
        assertErrno(Errno.EFAULT, () -> pin(18, 2, Access.READ));
        pin(20, 2, Access.READ);

        // Four pages were refused, one each time that one was faulted in.
        for (int i = 0; i < 4; i++) {
            window.allowPins(new GfnRange(19, 1));
        }
        pin(18, 2, Access.READ).close();
        assertThat(window.pinnedPages()).isEqualTo(2);
    }

    @Test
    void memoryThatChangedWhileItWasFaultedInIsNotPinned() {
        memory.inFault = () -> memory.hvaOfFirst += 0x1000_0000;

        assertErrno(Errno.EFAULT, () -> pin(16, 1, Access.WRITE));

        assertThat(window.pinnedPages()).isZero();
        assertThat(memory.dirty).isEmpty();
    }

    @Test
    void aDeviceThatIsTakenWhileMemoryIsFaultedInPinsNothing() {
        memory.inFault = window::close;

        assertErrno(Errno.ENODEV, () -> pin(16, 1, Access.WRITE));

        assertThat(window.pinnedPages()).isZero();
    }

    @Test
    void onlyThePagesThatWereAskedForAreMarkedAndOnlyThosePinnedForWriting() {
        pin(16, 4, Access.WRITE);
        pin(20, 4, Access.READ);
        assertThat(memory.dirty).as("when it was pinned").containsExactly(new GfnRange(16, 4));
        memory.dirty.clear();

        window.markPinned(new GfnRange(18, 4));
        window.markPinned(new GfnRange(10, 7));
        window.markPinned(new GfnRange(20, 4));

        assertThat(memory.dirty).containsExactly(new GfnRange(18, 2), new GfnRange(16, 1));
    }

    @Test
    void aCopyThatAPinBeganStopsWhenThePinIsTaken() {
        Pin pin = pin(16, 1, Access.WRITE);
        memory.inCopy = () -> window.unpin(new GfnRange(16, 1));

        assertErrno(Errno.ENODEV, () -> pin.write(0, bytes()));

        assertErrno(Errno.ENODEV, () -> pin.read(0, bytes()));
        assertThat(window.hasPins(new GfnRange(0, 64))).isFalse();
    }

    @Test
    void closingTakesThePinsAndWaitsForCopiesThatAreUnderWay() {
        pin(16, 2, Access.WRITE);
        memory.dirty.clear();

        window.close();

        assertThat(memory.awaited).isOne();
        assertThat(window.pinnedPages()).isZero();
        assertThat(memory.dirty).as("when it was unpinned").containsExactly(new GfnRange(16, 2));
        assertErrno(Errno.ENODEV, () -> window.read(Page.addressOf(16), bytes()));
        assertErrno(Errno.ENODEV, () -> pin(16, 1, Access.READ));
    }

    @Test
    void pinsAreCountedOnceEachAndTheirNumberIsBounded() {
        Pin twice = pin(16, 4, Access.READ);
        pin(16, 4, Access.READ);
        assertErrno(Errno.ENOMEM, () -> pin(20, 1, Access.READ));
        twice.close();
        twice.close();

        assertThat(window.pinnedPages()).isEqualTo(4);
        pin(20, 4, Access.READ);
        assertErrno(Errno.ENOMEM, () -> pin(16, 9, Access.READ));
    }
}
