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
import dev.mdev.api.GuestMemory.Pin;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyLog;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
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
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;

/// Guest memory as a device reaches it.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciDmaTest {
    private final PciMachine machine = new PciMachine();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void aDeviceReadsAndWritesRamAtAnyAlignmentAcrossPages() {
        machine.attach();
        GuestMemory memory = machine.device(0).memory();
        machine.store(0x1ff9, 8, 0x8877_6655_4433_2211L);

        assertThat(readLong(memory, 0x1ff9)).isEqualTo(0x8877_6655_4433_2211L);
        memory.write(0x2fff, MemorySegment.ofArray(new byte[] {1, 2, 3}));

        assertThat(machine.load(0x2fff, 4) & 0xff_ffff).isEqualTo(0x03_02_01);
        byte[] much = new byte[(int) RAM_BYTES];
        memory.read(0, MemorySegment.ofArray(much));
        assertThat(much[0x3000]).isEqualTo((byte) 2);
        memory.read(RAM_BYTES, MemorySegment.ofArray(new byte[0]));
    }

    @Test
    void whatEndsInNothingIsDoneUpToThereAndTheMasterAbortIsSeen() {
        AttachedDevice device = machine.attach();
        GuestMemory memory = machine.device(0).memory();
        machine.store(RAM_BYTES - 8, 8, -1);
        byte[] bytes = new byte[16];

        assertErrno(Errno.EFAULT, () -> memory.read(RAM_BYTES - 8, MemorySegment.ofArray(bytes)));
        assertThat(bytes).startsWith(-1, -1, -1, -1, -1, -1, -1, -1, 0);
        assertErrno(
                Errno.EFAULT,
                () -> memory.write(RAM_BYTES - 4, MemorySegment.ofArray(new byte[8])));
        assertThat(machine.load(RAM_BYTES - 8, 8)).isEqualTo(0xffff_ffffL);
        assertThat(device.config().read(6, 2)).isEqualTo(0x2010);
        for (long nowhere : new long[] {RAM_BYTES, 1L << 45, -8, -4096, Long.MIN_VALUE}) {
            assertErrno(Errno.EFAULT, () -> readLong(memory, nowhere));
            assertErrno(
                    Errno.EFAULT,
                    () -> memory.read(nowhere, MemorySegment.ofArray(new byte[10_000])));
        }
    }

    @Test
    void withoutTheBusMasterBitNothingIsReached() {
        AttachedDevice device = machine.attach();
        GuestMemory memory = machine.device(0).memory();
        Pin pin = memory.pin(0, 1, Access.WRITE);
        machine.store(device.configGpa() + COMMAND, 2, MEMORY);

        assertErrno(Errno.ENODEV, () -> readLong(memory, 0));
        assertErrno(Errno.ENODEV, () -> writeLong(memory, 0, 1));
        assertErrno(Errno.ENODEV, () -> memory.pin(0, 1, Access.READ));
        assertErrno(Errno.ENODEV, () -> pin.read(0, MemorySegment.ofArray(new byte[1])));
        machine.store(device.configGpa() + COMMAND, 2, MASTER);
        writeLong(memory, 0, 77);
        assertThat(readLong(memory, 0)).isEqualTo(77);
        pin.close();
    }

    @Test
    void aDeviceThatIsNotAssignedReachesNothing() {
        AttachedDevice device = machine.attach();
        GuestMemory memory = machine.device(0).memory();
        Pin pin = memory.pin(0, 4, Access.WRITE);
        machine.vm.detach(device.mdev().uuid());

        assertErrno(Errno.ENODEV, () -> readLong(memory, 0));
        assertErrno(Errno.ENODEV, () -> pin.write(0, MemorySegment.ofArray(new byte[1])));
        assertThat(device.dma().pinnedPages()).isZero();
        assertThat(machine.device(0).events)
                .containsExactly("dmaUnmapped 0+10000000000000", "reset");
        machine.vm.attach(device.mdev());
        assertThat(readLong(memory, 0)).isZero();
    }

    @Test
    void whatADeviceWritesIsDirtyAndWhatItReadsIsNot() {
        machine.attach();
        GuestMemory memory = machine.device(0).memory();
        logRam(SlotFlags.LOG_DIRTY_PAGES);

        writeLong(memory, 0x3000, 1);
        writeLong(memory, 0x5ffc, 1);
        readLong(memory, 0x8000);
        assertErrno(
                Errno.EFAULT,
                () -> memory.write(RAM_BYTES - 4, MemorySegment.ofArray(new byte[8])));

        assertThat(dirtyPages()).containsExactly(3, 5, 6, 255);
    }

    @Test
    void pagesPinnedForWritingAreDirtyAllTheWhileAndThoseForReadingNever() {
        machine.attach();
        GuestMemory memory = machine.device(0).memory();
        logRam(SlotFlags.LOG_DIRTY_PAGES);
        Pin read = memory.pin(0x1_0000, 2, Access.READ);
        Pin write = memory.pin(0x2_0000, 2, Access.WRITE);
        assertThat(dirtyPages()).containsExactly(32, 33);

        freshLog();
        assertThat(dirtyPages()).as("when the log begins").containsExactly(32, 33);
        assertThat(harvest()).containsExactly(32, 33);
        assertThat(harvest()).as("and at each harvest").containsExactly(32, 33);
        assertThat(dirtyPages()).as("between two of them").isEmpty();
        write.write(Page.SIZE, MemorySegment.ofArray(new byte[1]));
        assertThat(dirtyPages()).containsExactly(33);
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
        UserMemoryRegion whole = ram().region();
        machine.vm.slots().setUserMemoryRegion(UserMemoryRegion.deletionOf(0));
        setSlot(0, 0, half, whole.hva());
        setSlot(100, half, half, whole.hva() + half);
        Pin across = memory.pin(half - Page.SIZE, 2, Access.WRITE);
        assertThat(harvest(0)).containsExactly((int) (half / Page.SIZE) - 1);
        assertThat(harvest(100)).containsExactly(0);
        assertThat(harvest(0)).containsExactly((int) (half / Page.SIZE) - 1);
        across.close();
    }

    private void setSlot(int id, long gpa, long sizeBytes, long hva) {
        machine.vm
                .slots()
                .setUserMemoryRegion(
                        new UserMemoryRegion(id, SlotFlags.LOG_DIRTY_PAGES, gpa, sizeBytes, hva));
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
    void aDeviceReachesAnothersBarAndIsToldWhenItMoves() {
        machine.attach();
        AttachedDevice target = machine.attach();
        PciDriver.Device peer = machine.device(0);
        long bar = target.barGpa(0).orElseThrow();

        writeLong(peer.memory(), bar + 0x2008, 1234);
        assertThat(machine.device(1).memoryLong(0x2008)).isEqualTo(1234);
        Pin pin = peer.memory().pin(bar, 16, Access.WRITE);
        target.mdev().revoke(0, 0, 16);
        pin.write(0x3000, MemorySegment.ofArray(new byte[] {7}));
        assertThat(machine.device(1).memoryLong(0x3000)).isEqualTo(7);

        machine.store(target.configGpa() + 0x10, 8, 1L << 39);

        assertThat(peer.events).containsExactly("dmaUnmapped %x+10000".formatted(bar));
        assertErrno(Errno.ENODEV, () -> pin.write(0, MemorySegment.ofArray(new byte[1])));
        assertErrno(Errno.EFAULT, () -> readLong(peer.memory(), bar));
        assertThat(readLong(peer.memory(), (1L << 39) + 0x2008)).isEqualTo(1234);
        peer.memory().pin(1L << 39, 1, Access.READ);
        machine.vm.detach(target.mdev().uuid());
        assertThat(peer.events).hasSize(2);
    }

    @Test
    void registersAreNoMemoryForAnotherDevice() {
        machine.attach();
        AttachedDevice target = machine.attach();
        long registers = target.barGpa(2).orElseThrow();

        assertErrno(Errno.EFAULT, () -> readLong(machine.device(0).memory(), registers));
        assertThat(machine.device(1).events).isEmpty();
    }

    @Test
    void slotsChangeWhileADriverTakesItsTimeOverAnothersDma() throws Exception {
        machine.attach();
        AttachedDevice slow = machine.attach();
        AttachedDevice other = machine.attach();
        long bar = slow.barGpa(0).orElseThrow();
        CountDownLatch asked = new CountDownLatch(1);
        CountDownLatch release = new CountDownLatch(1);
        machine.device(1).whenAsked =
                () -> {
                    asked.countDown();
                    awaitUninterruptibly(release);
                };
        CompletableFuture<Long> dma =
                CompletableFuture.supplyAsync(
                        () -> readLong(machine.device(0).memory(), bar), PciMachine.THREADS);
        assertThat(asked.await(Deadlines.HANG_SECONDS, TimeUnit.SECONDS)).isTrue();

        other.config().write(COMMAND, 2, 0);
        machine.vm.detach(other.mdev().uuid());

        assertThat(dma).isNotDone();
        release.countDown();
        assertThat(dma.get()).isZero();
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
                    awaitUninterruptibly(release);
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

    private static void awaitUninterruptibly(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static long readLong(GuestMemory memory, long iova) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        memory.read(iova, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    private static void writeLong(GuestMemory memory, long iova, long value) {
        memory.write(iova, MemorySegment.ofArray(new long[] {value}));
    }

    private Memslot ram() {
        return Objects.requireNonNull(machine.vm.slots().slotOf(0));
    }

    private void logRam(int flags) {
        UserMemoryRegion region = ram().region();
        machine.vm
                .slots()
                .setUserMemoryRegion(
                        new UserMemoryRegion(
                                0, flags, region.gpa(), region.sizeBytes(), region.hva()));
    }

    /// Turns the log off and on, which begins an empty one.
    private void freshLog() {
        logRam(0);
        logRam(SlotFlags.LOG_DIRTY_PAGES);
    }

    private void replaceRam(int flags) {
        UserMemoryRegion region = ram().region();
        machine.vm.slots().setUserMemoryRegion(UserMemoryRegion.deletionOf(0));
        machine.vm
                .slots()
                .setUserMemoryRegion(
                        new UserMemoryRegion(
                                0, flags, region.gpa(), region.sizeBytes(), region.hva()));
    }

    private List<Integer> dirtyPages() {
        DirtyBitmap bitmap = Objects.requireNonNull(ram().bitmap());
        List<Integer> pages = new ArrayList<>();
        for (int page = 0; page < bitmap.npages(); page++) {
            if (bitmap.test(page)) {
                pages.add(page);
            }
        }
        return pages;
    }
}
