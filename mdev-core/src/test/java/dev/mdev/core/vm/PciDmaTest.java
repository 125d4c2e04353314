package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.RAM_BYTES;
import static dev.mdev.core.vm.PciMachine.assertErrno;
import static dev.mdev.core.vm.PciMachine.readLong;
import static dev.mdev.core.vm.PciMachine.writeLong;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.GuestMemory.Pin;
import dev.mdev.api.page.Access;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

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
        machine.setRamFlags(SlotFlags.LOG_DIRTY_PAGES);

        writeLong(memory, 0x3000, 1);
        writeLong(memory, 0x5ffc, 1);
        readLong(memory, 0x8000);
        assertErrno(
                Errno.EFAULT,
                () -> memory.write(RAM_BYTES - 4, MemorySegment.ofArray(new byte[8])));

        assertThat(machine.dirtyPages()).containsExactly(3, 5, 6, 255);
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
                    Deadlines.await(release);
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
}
