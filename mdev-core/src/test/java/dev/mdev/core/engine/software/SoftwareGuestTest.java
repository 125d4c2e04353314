package dev.mdev.core.engine.software;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.InstanceOfAssertFactories.type;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.dirty.DirtyHardware;
import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.engine.GuestAccess;
import dev.mdev.core.engine.VcpuExit;
import dev.mdev.core.guestmem.GuestMemoryAccess;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.gate.Deadlines;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.util.BitSet;

/// Requests that a machine refuses, and the machines that the engine can play.
class SoftwareGuestTest {
    private final HostMemory memory = new HostMemory(new OffHeapBackend());
    private final AddressSpaces slots = new AddressSpaces(SlotConfig.withoutSmm());

    private SoftwareGuest guest(SoftwareOptions options) {
        return new SoftwareEngine(Deadlines.HANG, options).createGuest(slots, memory);
    }

    @AfterEach
    void freeMemory() {
        memory.close();
    }

    private static void requireErrno(ThrowingCallable call, Errno errno) {
        assertThatThrownBy(call)
                .asInstanceOf(type(MdevException.class))
                .extracting(MdevException::errno)
                .isEqualTo(errno);
    }

    private long ram(SoftwareGuest guest, long npages) {
        return guest.hostMm()
                .mapEagerly(memory.allocate("ram", npages).pfns(), Prot.READ_WRITE)
                .range()
                .startHva();
    }

    private static VcpuExit store(SoftwareVcpu vcpu, long gpa) {
        vcpu.submit(new GuestAccess.Store(new GuestAccess.Span(gpa, 8, 1, 0), 1, 0));
        return vcpu.run();
    }

    @Test
    void aMachineThatWasGivenUpRunsNothingAndGetsNoProcessors() {
        try (SoftwareGuest guest = guest(SoftwareOptions.DEFAULT);
                SoftwareVcpu vcpu = guest.createVcpu(0)) {
            slots.kill("test");

            requireErrno(() -> store(vcpu, 0), Errno.EIO);
            requireErrno(() -> guest.createVcpu(1), Errno.EIO);
        }
    }

    @Test
    void anIdIsForOneProcessorOnlyAlsoAfterItsEnd() {
        try (SoftwareGuest guest = guest(SoftwareOptions.DEFAULT)) {
            guest.createVcpu(3).close();

            requireErrno(() -> guest.createVcpu(3), Errno.EEXIST);

            guest.createVcpu(2).close();
        }
    }

    @Test
    void aSlotThatReachesTooHighGetsNoBitmapBeforeItIsRefused() {
        try (SoftwareGuest guest = guest(SoftwareOptions.DEFAULT)) {
            long hva = ram(guest, 1);
            slots.setBitmapPolicy(npages -> {
                throw new AssertionError("a bitmap for npages=" + npages);
            });

            requireErrno(
                    () ->
                            slots.setUserMemoryRegion(
                                    new UserMemoryRegion(
                                            0,
                                            SlotFlags.LOG_DIRTY_PAGES,
                                            1L << 52,
                                            Page.bytesOf((1L << 31) - 1),
                                            hva)),
                    Errno.EINVAL);
        }
    }

    @Test
    void besideRingsOtherHardwareHasBitmapsForWritesWithoutAProcessor() {
        SoftwareOptions arm = SoftwareOptions.DEFAULT.with(DirtyHardware.arm64());
        try (SoftwareGuest guest = guest(arm)) {
            guest.dirtyModes().enable(DirtyModes.RING_ACQ_REL, 0, Page.SIZE);
            guest.dirtyModes().enable(DirtyModes.RING_WITH_BITMAP, 0, 0);
            slots.setUserMemoryRegion(
                    new UserMemoryRegion(
                            0, SlotFlags.LOG_DIRTY_PAGES, 0, 8 * Page.SIZE, ram(guest, 8)));
            try (SoftwareVcpu vcpu = guest.createVcpu(0)) {
                store(vcpu, 5 * Page.SIZE);
                new GuestMemoryAccess(slots, guest.hostMemory())
                        .write(6 * Page.SIZE, MemorySegment.ofArray(new byte[] {1}));

                byte[] bits = new byte[Long.BYTES];
                guest.dirtyLog().get(0, MemorySegment.ofArray(bits));
                assertThat(BitSet.valueOf(bits)).hasToString("{6}");
            }
        }
    }

    @Test
    void aProcessorWithItsOwnLogKeepsMoreOfARingFree() {
        try (SoftwareGuest guest =
                guest(SoftwareOptions.DEFAULT.with(DirtyHardware.x86WithPml()))) {
            requireErrno(
                    () -> guest.dirtyModes().enable(DirtyModes.RING, 0, Page.SIZE), Errno.EINVAL);

            guest.dirtyModes().enable(DirtyModes.RING, 0, 4 * Page.SIZE);

            assertThat(guest.dirtyModes().reservedEntries()).isEqualTo(64 + 512);
        }
    }
}
