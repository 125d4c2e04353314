package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory.WriteWatch;
import dev.mdev.api.page.Page;
import dev.mdev.core.dma.DeviceWatches;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/// Drivers that watch stores of the guest, on the engine in Java.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class WriteWatchTest {
    private final PciMachine machine = new PciMachine();
    private final AttachedDevice attached = machine.attach();
    private final PciDriver.Device device = machine.device(0);

    @AfterEach
    void stop() {
        machine.close();
    }

    private List<String> told() {
        return device.events.stream().filter(event -> event.startsWith("guestWrote")).toList();
    }

    /// What is in RAM, as this test looks at it.
    private long ramLong(long gpa) {
        MemorySegment value = MemorySegment.ofArray(new long[1]);
        Objects.requireNonNull(machine.vm.ram()).read(gpa, value);
        return value.get(ValueLayout.JAVA_LONG, 0);
    }

    @Test
    void aStoreToAWatchedPageIsToldWhenItIsInMemory() {
        AtomicLong found = new AtomicLong();
        device.whenGuestWrote = () -> found.set(ramLong(0x5008));
        WriteWatch watch = device.memory().watchWrites(0x5000, 2);

        machine.store(0x5008, 8, 7);
        assertThat(told()).containsExactly("guestWrote 5008+8=7");
        assertThat(found.get()).isEqualTo(7);
        machine.store(0x6fff, 1, 1);
        machine.store(0x4000, 8, 1);
        machine.store(0x7000, 8, 1);
        assertThat(machine.load(0x5008, 8)).isEqualTo(7);
        assertThat(told()).containsExactly("guestWrote 5008+8=7", "guestWrote 6fff+1=1");

        watch.close();
        watch.close();
        machine.store(0x5008, 8, 8);
        assertThat(told()).hasSize(2);
        assertThat(machine.load(0x5008, 8)).isEqualTo(8);
    }

    @Test
    void aStoreOverTwoPagesIsToldForTheWatchedOne() {
        var _ = device.memory().watchWrites(0x5000, 1);
        machine.store(0x5ffc, 8, 0x1122_3344_5566_7788L);
        machine.store(0x4ffe, 4, 0);
        assertThat(told()).containsExactly("guestWrote 5ffc+4=55667788", "guestWrote 5000+2=0");
        assertThat(machine.load(0x5ffc, 8)).isEqualTo(0x1122_3344_5566_7788L);
    }

    @Test
    void storesOfDevicesAreNotToldAndThoseOfTheGuestAreLogged() {
        var _ = device.memory().watchWrites(0x5000, 1);
        machine.vm.setDirtyLog(new DirtyLogMode.Bitmap());
        device.memory().write(0x5000, MemorySegment.ofArray(new byte[8]));
        assertThat(told()).isEmpty();
        var _ = machine.vm.dirtyLog().takeSlots();

        machine.store(0x5000, 8, 1);

        assertThat(told()).hasSize(1);
        assertThat(machine.vm.dirtyLog().slots().dirty()).isEqualTo(1);
    }

    @Test
    void aWatchFollowsMemoryThatGoesAndComesBack() {
        AttachedDevice other = machine.attach();
        long bar = other.barGpa(0).orElseThrow();
        WriteWatch watch = device.memory().watchWrites(bar + Page.SIZE, 1);
        other.config().write(COMMAND, 2, MASTER);
        other.config().write(COMMAND, 2, MASTER | MEMORY);
        machine.store(bar + Page.SIZE, 8, 1);
        assertThat(told()).hasSize(1);

        other.config().write(0x10, 8, 1L << 39);
        machine.store((1L << 39) + Page.SIZE, 8, 1);
        assertThat(told()).as("the memory is elsewhere").hasSize(1);
        other.config().write(0x10, 8, bar);
        machine.store(bar + Page.SIZE, 8, 2);
        assertThat(told()).hasSize(2);
        watch.close();
        machine.store(bar + Page.SIZE, 8, 3);
        assertThat(told()).hasSize(2);
    }

    @Test
    void twoWatchesOfOnePageEndByThemselves() {
        WriteWatch first = device.memory().watchWrites(0x5000, 1);
        WriteWatch second = device.memory().watchWrites(0x5000, 1);
        machine.store(0x5000, 8, 1);
        assertThat(told()).hasSize(2);
        first.close();
        machine.store(0x5000, 8, 2);
        assertThat(told()).hasSize(3);
        second.close();
        machine.store(0x5000, 8, 3);
        assertThat(told()).hasSize(3);
    }

    @Test
    void watchesAreBoundedAndEndWithTheDevicesStay() {
        long limit = DeviceWatches.LIMIT_PAGES;
        assertErrno(Errno.EINVAL, () -> device.memory().watchWrites(0x5001, 1));
        assertErrno(Errno.EINVAL, () -> device.memory().watchWrites(0x5000, 0));
        assertErrno(Errno.EINVAL, () -> device.memory().watchWrites(-Page.SIZE, 1));
        assertErrno(Errno.EINVAL, () -> device.memory().watchWrites(0, Long.MAX_VALUE));
        assertErrno(Errno.ENOMEM, () -> device.memory().watchWrites(0, limit + 1));
        WriteWatch all = device.memory().watchWrites(0, limit);
        assertErrno(Errno.ENOMEM, () -> device.memory().watchWrites(0, 1));
        all.close();
        var _ = device.memory().watchWrites(0x5000, 1);

        machine.vm.detach(attached.mdev().uuid());

        assertErrno(Errno.ENODEV, () -> device.memory().watchWrites(0x5000, 1));
        machine.store(0x5000, 8, 1);
        assertThat(told()).isEmpty();
        machine.vm.attach(attached.mdev());
        machine.store(0x5000, 8, 1);
        assertThat(told()).as("a new stay").isEmpty();
    }

    /// The processor that waits for the driver holds up no change of the guest's memory.
    @Test
    void aDriverThatIsToldMayChangeWhatTheProcessorNeeds() throws Exception {
        AttachedDevice other = machine.attach();
        CountDownLatch told = new CountDownLatch(1);
        CountDownLatch changed = new CountDownLatch(1);
        WriteWatch watch = device.memory().watchWrites(0x5000, 1);
        device.whenGuestWrote =
                () -> {
                    told.countDown();
                    watch.close();
                    try {
                        changed.await();
                    } catch (InterruptedException e) {
                        Thread.currentThread().interrupt();
                    }
                };
        CompletableFuture<Void> store =
                CompletableFuture.runAsync(() -> machine.store(0x5000, 8, 1), PciMachine.THREADS);
        told.await();

        other.config().write(0x10, 8, 1L << 39);

        changed.countDown();
        store.join();
        assertThat(machine.load(0x5000, 8)).isEqualTo(1);
    }
}
