package dev.mdev.core.dirty;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.SlotRequests;

import org.junit.jupiter.api.Test;

import java.util.Objects;

class DirtyRingsTest {
    private final RingBench bench = new RingBench();

    @Test
    void aWriteGoesToTheRingOfTheVcpuThatWrote() {
        Memslot slot = bench.logged(1, 16);
        DirtyRing ring0 = bench.vcpu(0);
        DirtyRing ring5 = bench.vcpu(5);
        bench.slots.markDirty(slot, slot.baseGfn() + 3, 5);
        assertThat(ring0.used()).isZero();
        assertThat(ring5.used()).isEqualTo(1);
    }

    @Test
    void aWriteOfTheMachineIsThatOfTheVcpuTheThreadActsFor() {
        Memslot slot = bench.logged(1, 16);
        DirtyRing ring0 = bench.vcpu(0);
        DirtyRing ring1 = bench.vcpu(1);
        Runnable write = () -> bench.slots.markDirty(slot, slot.baseGfn(), DirtySink.NO_VCPU);
        bench.rings.actFor(
                0,
                () -> {
                    write.run();
                    bench.rings.actFor(1, write);
                    write.run();
                });
        assertThat(ring0.used()).isEqualTo(2);
        assertThat(ring1.used()).isEqualTo(1);

        write.run();
        assertThat(bench.rings.lostMarks()).isEqualTo(1);
        assertThat(ring0.used()).isEqualTo(2);
    }

    @Test
    void aThreadThatActsForAnotherMachineRecordsNothing() {
        Memslot slot = bench.logged(1, 16);
        DirtyRing ring = bench.vcpu(0);
        RingBench other = new RingBench();
        DirtyRing otherRing = other.vcpu(0);
        other.rings.actFor(0, () -> bench.slots.markDirty(slot, slot.baseGfn(), DirtySink.NO_VCPU));
        assertThat(ring.used()).isZero();
        assertThat(otherRing.used()).isZero();
        assertThat(bench.rings.foreignMarks()).isEqualTo(1);
        assertThat(bench.rings.lostMarks()).isZero();
    }

    @Test
    void aSlotThatDoesNotLogIsNotRecorded() {
        bench.slots.setUserMemoryRegion(SlotRequests.ram(1, 0, 16));
        DirtyRing ring = bench.vcpu(0);
        bench.slots.markDirty(bench.slot(1), 3, 0);
        assertThat(ring.used()).isZero();
    }

    @Test
    void withoutRingsAllGoesToTheBitmap() {
        AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        DirtyRings rings = new DirtyRings(slots, modes, RingBench::allocate);
        slots.setDirtySink(rings);
        slots.setUserMemoryRegion(SlotRequests.region(1, SlotFlags.LOG_DIRTY_PAGES, 0, 16));
        Memslot slot = Objects.requireNonNull(slots.slotOf(1));
        assertThat(rings.vcpuCreated(0)).isNull();
        slots.markDirty(slot, 3, 0);
        slots.markDirty(slot, 4, DirtySink.NO_VCPU);
        assertThat(Objects.requireNonNull(slot.bitmap()).getAndClear(0)).isEqualTo(0b11000);
    }

    @Test
    void withABitmapBesideTheRingWritesOfNoVcpuGoThere() {
        AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.arm64());
        DirtyRings rings = new DirtyRings(slots, modes, RingBench::allocate);
        modes.enable(DirtyModes.RING_ACQ_REL, 0, RingBench.SIZE_BYTES);
        modes.enable(DirtyModes.RING_WITH_BITMAP, 0, 0);
        slots.setDirtySink(rings);
        slots.setBitmapPolicy(modes);
        slots.setUserMemoryRegion(SlotRequests.region(1, SlotFlags.LOG_DIRTY_PAGES, 0, 16));
        Memslot slot = Objects.requireNonNull(slots.slotOf(1));
        DirtyRing ring = Objects.requireNonNull(rings.vcpuCreated(0));

        slots.markDirty(slot, 3, 0);
        slots.markDirty(slot, 4, DirtySink.NO_VCPU);
        rings.actFor(0, () -> slots.markDirty(slot, 5, DirtySink.NO_VCPU));

        assertThat(ring.used()).isEqualTo(2);
        DirtyLog log = new DirtyLog(slots, modes, new ProtectRecorder());
        log.collect(1, (word, bits) -> assertThat(bits).isEqualTo(0b10000));
        assertThat(rings.lostMarks()).isZero();
    }

    @Test
    void idsOfVcpusAreChecked() {
        bench.vcpu(0);
        assertThat(errno(0)).isEqualTo(Errno.EEXIST);
        assertThat(errno(-1)).isEqualTo(Errno.EINVAL);
        assertThat(errno(4096)).isEqualTo(Errno.EINVAL);
        assertThat(bench.rings.ringOf(0)).isNotNull();
        assertThat(bench.rings.ringOf(1)).isNull();
        assertThat(bench.rings.ringOf(-1)).isNull();
    }

    private Errno errno(int vcpuId) {
        return catchThrowableOfType(MdevException.class, () -> bench.rings.vcpuCreated(vcpuId))
                .errno();
    }

    /// Linux never reports pages that were mapped before logging was turned on, with rings and
    /// bitmaps that would start with every bit set.
    @Test
    void pagesMappedBeforeLoggingAreReportedWithInitiallySetAndRings() {
        AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
        DirtyModes modes = new DirtyModes(slots, DirtyHardware.x86());
        modes.enable(DirtyModes.RING, 0, RingBench.SIZE_BYTES);
        modes.enable(DirtyModes.MANUAL_PROTECT2, 0, 3);
        DirtyRings rings = new DirtyRings(slots, modes, RingBench::allocate);
        DirtyRing ring = Objects.requireNonNull(rings.vcpuCreated(0));
        TinyMmu mmu = new TinyMmu(slots, modes);
        slots.setDirtySink(rings);
        slots.setBitmapPolicy(modes);
        slots.addListener(mmu);
        slots.setUserMemoryRegion(SlotRequests.ram(1, 0, 16));
        for (int page = 0; page < 4; page++) {
            mmu.write(Objects.requireNonNull(slots.slotOf(1)), page, 0);
        }
        slots.setUserMemoryRegion(SlotRequests.region(1, SlotFlags.LOG_DIRTY_PAGES, 0, 16));
        for (int page = 0; page < 5; page++) {
            mmu.write(Objects.requireNonNull(slots.slotOf(1)), page, 0);
        }
        assertThat(ring.used()).isEqualTo(5);
    }
}
