package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.RAM_BYTES;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.GuestMemory.Window;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.Objects;

/// A fixed range of guest memory that a device uses again and again.
class PciWindowTest {
    private final PciMachine machine = new PciMachine();
    private final AttachedDevice device = machine.attach();
    private final GuestMemory memory = machine.device(0).memory();

    @AfterEach
    void stop() {
        machine.close();
    }

    private UserMemoryRegion ram() {
        return Objects.requireNonNull(machine.vm.slots().slotOf(0)).region();
    }

    private void setRam(int flags, long gpa, long sizeBytes, long hva) {
        machine.vm.slots().setUserMemoryRegion(new UserMemoryRegion(0, flags, gpa, sizeBytes, hva));
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 0x2ff8, 0x2ffc, RAM_BYTES - 8})
    void itShowsWhatTheGuestSees(long gpa) {
        Window window = memory.window(gpa, 8);

        window.store(0, 8, 0x1122_3344_5566_7788L);
        assertThat(machine.load(gpa, 8)).isEqualTo(0x1122_3344_5566_7788L);
        machine.store(gpa, 8, 42);
        assertThat(window.load(0, 8)).isEqualTo(42);
        assertThat(window.load(1, 7)).isZero();
        assertThatThrownBy(() -> window.load(1, 8)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> window.store(-1, 8, 0))
                .isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void anEmptyOneIsRefused() {
        assertErrno(Errno.EINVAL, () -> memory.window(0, 0));
        assertErrno(Errno.EINVAL, () -> memory.window(0, -1));
    }

    @Test
    void whereNoMemoryIsItFaultsAndFindsWhatAppears() {
        for (long nowhere : new long[] {RAM_BYTES, RAM_BYTES - 4, 1L << 45, -4, -8}) {
            assertErrno(Errno.EFAULT, () -> memory.window(nowhere, 8).store(0, 8, 1));
            assertErrno(Errno.EFAULT, () -> memory.window(nowhere, 8).load(0, 8));
        }
        UserMemoryRegion region = ram();
        long elsewhere = 1L << 33;
        Window before = memory.window(0x3000, 8);
        Window after = memory.window(elsewhere + 0x3000, 8);
        assertErrno(Errno.EFAULT, () -> after.load(0, 8));
        before.store(0, 8, 7);

        setRam(0, elsewhere, region.sizeBytes(), region.hva());

        assertErrno(Errno.EFAULT, () -> before.store(0, 8, 8));
        assertThat(after.load(0, 8)).isEqualTo(7);

        setRam(0, 0, region.sizeBytes(), region.hva());

        assertThat(before.load(0, 8)).isEqualTo(7);
        assertErrno(Errno.EFAULT, () -> after.load(0, 8));
    }

    @Test
    void itsWritesAreDirtyAndItsReadsAreNot() {
        UserMemoryRegion region = ram();
        Window window = memory.window(0x5010, 8);
        Window across = memory.window(0x7ffc, 8);
        window.store(0, 8, 1);
        setRam(SlotFlags.LOG_DIRTY_PAGES, 0, region.sizeBytes(), region.hva());

        memory.window(0x3000, 8).load(0, 8);
        window.store(0, 8, 2);
        across.store(0, 8, 3);

        Memslot slot = Objects.requireNonNull(machine.vm.slots().slotOf(0));
        DirtyBitmap bitmap = Objects.requireNonNull(slot.bitmap());
        byte[] bits = new byte[(int) bitmap.sizeBytes()];
        bitmap.copyLive(MemorySegment.ofArray(bits));
        assertThat(BitSet.valueOf(bits)).hasToString("{5, 7, 8}");
    }

    @Test
    void aRangeThatMayNotBeWrittenIsReadAndNothingElse() {
        UserMemoryRegion region = ram();
        machine.store(0x1000, 8, 99);
        machine.vm.slots().setUserMemoryRegion(UserMemoryRegion.deletionOf(0));
        setRam(SlotFlags.READONLY, 0, region.sizeBytes(), region.hva());
        Window window = memory.window(0x1000, 8);

        assertThat(window.load(0, 8)).isEqualTo(99);
        assertErrno(Errno.EFAULT, () -> window.store(0, 8, 1));
    }

    @Test
    void itEndsWithTheRightToMasterTheBusAndReturnsWithIt() {
        Window window = memory.window(Page.SIZE, 8);
        window.store(0, 8, 5);
        machine.store(device.configGpa() + COMMAND, 2, MEMORY);

        assertErrno(Errno.ENODEV, () -> window.load(0, 8));
        assertErrno(Errno.ENODEV, () -> window.store(0, 8, 6));

        machine.store(device.configGpa() + COMMAND, 2, MASTER);
        assertThat(window.load(0, 8)).isEqualTo(5);
    }

    @Test
    void itFollowsItsDeviceToTheNextAssignment() {
        Window window = memory.window(Page.SIZE, 8);
        window.store(0, 8, 5);
        machine.vm.detach(device.mdev().uuid());

        assertErrno(Errno.ENODEV, () -> window.load(0, 8));
        assertErrno(Errno.ENODEV, () -> window.store(0, 8, 6));

        machine.vm.attach(device.mdev());
        assertThat(window.load(0, 8)).isEqualTo(5);
    }
}
