package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.RAM_BYTES;
import static dev.mdev.core.vm.PciMachine.assertErrno;
import static dev.mdev.core.vm.PciMachine.readLong;
import static dev.mdev.core.vm.PciMachine.writeLong;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.GuestMemory.Pin;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/// Pages of guest memory that a device has pinned.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciPinTest {
    private final PciMachine machine = new PciMachine();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void pagesPinnedForWritingAreDirtyAllTheWhileAndThoseForReadingNever() {
        machine.attach();
        GuestMemory memory = machine.device(0).memory();
        machine.setRamFlags(SlotFlags.LOG_DIRTY_PAGES);
        Pin read = memory.pin(0x1_0000, 2, Access.READ);
        Pin write = memory.pin(0x2_0000, 2, Access.WRITE);
        assertThat(machine.dirtyPages()).containsExactly(32, 33);

        freshLog();
        assertThat(machine.dirtyPages()).as("when the log begins").containsExactly(32, 33);
        assertThat(harvest()).containsExactly(32, 33);
        assertThat(harvest()).as("and at each harvest").containsExactly(32, 33);
        assertThat(machine.dirtyPages()).as("between two of them").isEmpty();
        write.write(Page.SIZE, MemorySegment.ofArray(new byte[1]));
        assertThat(machine.dirtyPages()).containsExactly(33);
        write.close();
        read.close();
        assertThat(harvest()).containsExactly(32, 33);
        assertThat(harvest()).as("not pinned any more").isEmpty();
    }

    @Test
    void onlyThePinnedPagesOfTheHarvestedSlotAreMarked() {
        machine.attach();
        GuestMemory memory = machine.device(0).memory();
        long half = RAM_BYTES / 2;
        UserMemoryRegion whole = machine.ram().region();
        machine.vm.slots().setUserMemoryRegion(UserMemoryRegion.deletionOf(0));
        setSlot(SlotFlags.LOG_DIRTY_PAGES, 0, 0, half, whole.hva());
        setSlot(SlotFlags.LOG_DIRTY_PAGES, 100, half, half, whole.hva() + half);
        Pin across = memory.pin(half - Page.SIZE, 2, Access.WRITE);
        assertThat(harvest(0)).containsExactly((int) (half / Page.SIZE) - 1);
        assertThat(harvest(100)).containsExactly(0);
        assertThat(harvest(0)).containsExactly((int) (half / Page.SIZE) - 1);
        across.close();
    }

    private void setSlot(int flags, int id, long gpa, long sizeBytes, long hva) {
        machine.vm
                .slots()
                .setUserMemoryRegion(new UserMemoryRegion(id, flags, gpa, sizeBytes, hva));
    }

    private List<Integer> harvest() {
        return harvest(0);
    }

    /// Reads and clears a slot's log as a VMM does (`KVM_GET_DIRTY_LOG`).
    private List<Integer> harvest(int slot) {
        AddressSpaces slots = machine.vm.slots();
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        DirtyProtector none =
                new DirtyProtector() {
                    @Override
                    public void protect(Memslot slot, long baseIndex, long bits) {}

                    @Override
                    public void flush() {}
                };
        MemorySegment words = MemorySegment.ofArray(new long[(int) (RAM_BYTES / Page.SIZE / 64)]);
        new DirtyLog(slots, modes, none).get(slot, words);
        BitSet bits = BitSet.valueOf(words.toArray(ValueLayout.JAVA_LONG));
        return bits.stream().boxed().toList();
    }

    @Test
    void pinsAreCheckedAndCounted() {
        AttachedDevice device = machine.vm.attach(machine.create(), new AttachOptions(true, 10));
        GuestMemory memory = machine.device(0).memory();

        assertErrno(Errno.EINVAL, () -> memory.pin(1, 1, Access.READ));
        assertErrno(Errno.EINVAL, () -> memory.pin(0, 0, Access.READ));
        assertErrno(Errno.EINVAL, () -> memory.pin(0, -1, Access.READ));
        assertErrno(Errno.ENOMEM, () -> memory.pin(0, 11, Access.READ));
        assertErrno(Errno.ENOMEM, () -> memory.pin(0, Long.MAX_VALUE, Access.READ));
        assertErrno(Errno.EFAULT, () -> memory.pin(RAM_BYTES - 4096, 2, Access.READ));
        assertErrno(Errno.EFAULT, () -> memory.pin(-4096, 2, Access.READ));
        assertThat(device.dma().pinnedPages()).isZero();
        Pin one = memory.pin(0, 6, Access.READ);
        Pin same = memory.pin(0, 4, Access.WRITE);
        assertErrno(Errno.ENOMEM, () -> memory.pin(0, 1, Access.READ));
        assertThat(device.dma().pinnedPages()).isEqualTo(10);
        one.close();
        one.close();
        assertThat(device.dma().pinnedPages()).isEqualTo(4);
        assertErrno(Errno.ENODEV, () -> one.read(0, MemorySegment.ofArray(new byte[1])));
        same.write(0, MemorySegment.ofArray(new byte[] {42}));
        assertThat(machine.load(0, 1)).isEqualTo(42);
        same.close();
    }

    @Test
    void aPinIsUsedWithinItsBoundsAndRights() {
        machine.attach();
        Pin pin = machine.device(0).memory().pin(0x4000, 2, Access.READ);

        for (long outside : new long[] {-1, 8192, 8185, Long.MAX_VALUE}) {
            assertThatThrownBy(() -> pin.read(outside, MemorySegment.ofArray(new byte[8])))
                    .isInstanceOf(IndexOutOfBoundsException.class);
        }
        assertErrno(Errno.EPERM, () -> pin.write(0, MemorySegment.ofArray(new byte[1])));
        machine.store(0x4ffc, 8, 0x1122_3344_5566_7788L);
        byte[] bytes = new byte[8];
        pin.read(0xffc, MemorySegment.ofArray(bytes));
        assertThat(bytes).containsExactly(0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11);
        pin.close();
    }

    @Test
    void readOnlyMemoryIsPinnedForReadingOnly() {
        machine.attach();
        GuestMemory memory = machine.device(0).memory();
        replaceRam(SlotFlags.READONLY);

        assertErrno(Errno.EPERM, () -> memory.pin(0, 1, Access.WRITE));
        assertErrno(Errno.EFAULT, () -> writeLong(memory, 0, 1));
        memory.pin(0, 1, Access.READ).close();
        assertThat(readLong(memory, 0)).isZero();
    }

    @Test
    void theDriverIsToldBeforePinnedMemoryGoes() {
        AttachedDevice device = machine.attach();
        PciDriver.Device driver = machine.device(0);
        List<String> order = new ArrayList<>();
        AtomicReference<Pin> pin =
                new AtomicReference<>(driver.memory().pin(0x1000, 3, Access.WRITE));
        driver.whenUnmapped =
                () -> {
                    order.add("told with " + device.dma().pinnedPages() + " pages");
                    assertErrno(Errno.EFAULT, () -> driver.memory().pin(0x2000, 1, Access.READ));
                    writeLong(driver.memory(), 0x1000, 99);
                    pin.get().close();
                };

        machine.vm.changeMemory(
                new GfnRange(2, 4),
                () -> order.add("changed with " + device.dma().pinnedPages() + " pages"));

        assertThat(order).containsExactly("told with 3 pages", "changed with 0 pages");
        assertThat(driver.events).containsExactly("dmaUnmapped 2000+4000");
        driver.memory().pin(0x2000, 1, Access.READ).close();
    }

    @Test
    void whatADriverLeavesPinnedIsUnpinnedByForceAlsoIfItThrows() {
        AttachedDevice device = machine.attach();
        PciDriver.Device driver = machine.device(0);
        Pin left = driver.memory().pin(0x1000, 1, Access.WRITE);
        Pin elsewhere = driver.memory().pin(0x9000, 1, Access.WRITE);
        driver.whenUnmapped =
                () -> {
                    throw new IllegalStateException("not now");
                };

        machine.vm.changeMemory(new GfnRange(0, 4), () -> {});

        assertThat(device.dma().pinnedPages()).isOne();
        assertErrno(Errno.ENODEV, () -> left.write(0, MemorySegment.ofArray(new byte[1])));
        elsewhere.write(0, MemorySegment.ofArray(new byte[1]));
        elsewhere.close();
    }

    @Test
    void aSlotThatGoesUnannouncedStillLeavesNoPinBehind() {
        AttachedDevice device = machine.attach();
        Pin pin = machine.device(0).memory().pin(0x1000, 1, Access.WRITE);

        machine.vm.slots().setUserMemoryRegion(UserMemoryRegion.deletionOf(0));

        assertThat(device.dma().pinnedPages()).isZero();
        assertErrno(Errno.ENODEV, () -> pin.write(0, MemorySegment.ofArray(new byte[1])));
        assertThat(machine.device(0).events).isEmpty();
    }

    @Test
    void aDriverThatHangsOverPinsKeepsOnlyWhoAskedWaiting() throws Exception {
        AttachedDevice target = machine.attach();
        AttachedDevice stuck = machine.attach();
        AttachedDevice other = machine.attach();
        PciDriver.Device driver = machine.device(1);
        long bar = target.barGpa(0).orElseThrow();
        Pin pin = driver.memory().pin(bar, 1, Access.READ);
        CountDownLatch told = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        driver.whenUnmapped =
                () -> {
                    told.countDown();
                    Deadlines.await(release);
                };
        CompletableFuture<Void> off =
                CompletableFuture.runAsync(
                        () -> target.config().write(COMMAND, 2, MASTER), PciMachine.THREADS);
        assertThat(told.await(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();

        other.config().write(0x10, 8, 1L << 39);
        assertThat(machine.load(1L << 39, 8)).isZero();
        assertThat(other.config().read(0, 2)).isEqualTo(0x1234);
        assertThat(off).isNotDone();
        assertThat(machine.answers(bar)).isTrue();

        release.countDown();
        off.get();
        assertThat(machine.answers(bar)).isFalse();
        assertThat(stuck.dma().pinnedPages()).isZero();
        pin.close();
    }

    /// Turns the log off and on, which begins an empty one.
    private void freshLog() {
        machine.setRamFlags(0);
        machine.setRamFlags(SlotFlags.LOG_DIRTY_PAGES);
    }

    private void replaceRam(int flags) {
        UserMemoryRegion region = machine.ram().region();
        machine.vm.slots().setUserMemoryRegion(UserMemoryRegion.deletionOf(0));
        setSlot(flags, 0, region.gpa(), region.sizeBytes(), region.hva());
    }
}
