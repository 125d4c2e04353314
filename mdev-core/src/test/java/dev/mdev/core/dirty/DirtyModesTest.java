package dev.mdev.core.dirty;

import static dev.mdev.core.memslot.SlotRequests.ram;
import static dev.mdev.core.memslot.SlotRequests.region;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.lang.foreign.Arena;

class DirtyModesTest {
    private final AddressSpaces slots = new AddressSpaces(SlotConfig.x86());
    private final DirtyModes x86 = modes(DirtyHardware.x86());
    private final DirtyModes arm64 = modes(DirtyHardware.arm64());

    private DirtyModes modes(DirtyHardware hardware) {
        return new DirtyModes(slots, hardware);
    }

    private static @Nullable Errno errno(
            DirtyModes modes, int capability, int flags, long optionBits) {
        MdevException refusal =
                catchThrowableOfType(
                        MdevException.class, () -> modes.enable(capability, flags, optionBits));
        return refusal == null ? null : refusal.errno();
    }

    @Test
    void whatIsOffered() {
        assertThat(x86.check(DirtyModes.MANUAL_PROTECT2)).isEqualTo(3);
        assertThat(x86.check(DirtyModes.MANUAL_PROTECT)).isZero();
        assertThat(x86.check(DirtyModes.RING)).isEqualTo(0x100000);
        assertThat(x86.check(DirtyModes.RING_ACQ_REL)).isEqualTo(0x100000);
        assertThat(x86.check(DirtyModes.RING_WITH_BITMAP)).isZero();
        assertThat(arm64.check(DirtyModes.RING)).isZero();
        assertThat(arm64.check(DirtyModes.RING_ACQ_REL)).isEqualTo(0x100000);
        assertThat(arm64.check(DirtyModes.RING_WITH_BITMAP)).isEqualTo(1);
        assertThat(x86.check(1)).isZero();
    }

    @ParameterizedTest
    @CsvSource({
        "0, 0, ",
        "0, 1, ",
        "0, 3, ",
        "0, 2, EINVAL",
        "0, 4, EINVAL",
        "0, 5, EINVAL",
        "0, 7, EINVAL",
        "1, 1, EINVAL",
        "0, 0x100000001, EINVAL"
    })
    void optionsOfManualProtection(int flags, String optionBits, @Nullable Errno expected) {
        assertThat(errno(x86, DirtyModes.MANUAL_PROTECT2, flags, Long.decode(optionBits)))
                .isEqualTo(expected);
    }

    @Test
    void manualProtectionCanBeChangedAnyTime() {
        x86.enable(DirtyModes.MANUAL_PROTECT2, 0, 3);
        assertThat(x86.isManualProtect()).isTrue();
        assertThat(x86.isInitiallySet()).isTrue();
        x86.enable(DirtyModes.MANUAL_PROTECT2, 0, 1);
        assertThat(x86.isInitiallySet()).isFalse();
        x86.enable(DirtyModes.MANUAL_PROTECT2, 0, 0);
        assertThat(x86.isManualProtect()).isFalse();
        assertThat(errno(x86, DirtyModes.MANUAL_PROTECT, 0, 1)).isEqualTo(Errno.EINVAL);
    }

    @ParameterizedTest
    @CsvSource({
        "0, EINVAL",
        "0x100000000, EINVAL",
        "0x1800, EINVAL",
        "0x10, EINVAL",
        "0x400, EINVAL",
        "0x800, EINVAL",
        "0x1000, ",
        "0x100001000, ",
        "0x100000, ",
        "0x200000, E2BIG",
        "0x80000000, E2BIG",
    })
    void sizesOfARing(String sizeBytes, @Nullable Errno expected) {
        assertThat(errno(x86, DirtyModes.RING, 0, Long.decode(sizeBytes))).isEqualTo(expected);
        assertThat(
                        errno(
                                modes(DirtyHardware.x86()),
                                DirtyModes.RING_ACQ_REL,
                                1,
                                Long.decode(sizeBytes)))
                .as("the flags are not looked at")
                .isEqualTo(expected);
    }

    @Test
    void aTruncatedSizeIsWhatCounts() {
        x86.enable(DirtyModes.RING, 0, 0x1_0000_1000L);
        assertThat(x86.ringSizeBytes()).isEqualTo(0x1000);
    }

    @Test
    void withPmlTheSmallestRingHas1024Entries() {
        DirtyModes pml = modes(DirtyHardware.x86WithPml());
        assertThat(pml.reservedEntries()).isEqualTo(576);
        assertThat(errno(pml, DirtyModes.RING, 0, 0x2000)).isEqualTo(Errno.EINVAL);
        assertThat(errno(pml, DirtyModes.RING, 0, 0x4000)).isNull();
    }

    @Test
    void aRingIsEnabledOnceAndTooLargeOutranksThat() {
        x86.enable(DirtyModes.RING, 0, 0x1000);
        assertThat(errno(x86, DirtyModes.RING, 0, 0x1000)).isEqualTo(Errno.EINVAL);
        assertThat(errno(x86, DirtyModes.RING_ACQ_REL, 0, 0x2000)).isEqualTo(Errno.EINVAL);
        assertThat(errno(x86, DirtyModes.RING, 0, 0x200000)).isEqualTo(Errno.E2BIG);
    }

    @Test
    void noRingAfterTheFirstVcpuAndTooLargeOutranksThat() {
        DirtyRings rings = new DirtyRings(slots, x86, Arena.ofAuto()::allocate);
        assertThat(rings.vcpuCreated(0)).isNull();
        assertThat(errno(x86, DirtyModes.RING, 0, 0x1000)).isEqualTo(Errno.EINVAL);
        assertThat(errno(x86, DirtyModes.RING, 0, 0x200000)).isEqualTo(Errno.E2BIG);
        assertThat(x86.usesRing()).isFalse();
    }

    @Test
    void aRingThatIsNotOfferedIsRefusedFirst() {
        assertThat(errno(arm64, DirtyModes.RING, 0, 0x200000)).isEqualTo(Errno.EINVAL);
        assertThat(errno(arm64, DirtyModes.RING_ACQ_REL, 0, 0x1000)).isNull();
    }

    @Test
    void slotsWithBitmapsDoNotPreventARing() {
        slots.setUserMemoryRegion(region(1, SlotFlags.LOG_DIRTY_PAGES, 0, 64));
        assertThat(errno(x86, DirtyModes.RING, 0, 0x1000)).isNull();
        assertThat(x86.usesBitmap()).isFalse();
        assertThat(x86.newBitmap(64)).isNull();
    }

    @Test
    void aBitmapBesideTheRingNeedsARingAndNoSlots() {
        int capability = DirtyModes.RING_WITH_BITMAP;
        assertThat(errno(arm64, capability, 0, 0)).as("no ring").isEqualTo(Errno.EINVAL);
        arm64.enable(DirtyModes.RING_ACQ_REL, 0, 0x1000);
        assertThat(errno(arm64, capability, 1, 0)).as("flags").isEqualTo(Errno.EINVAL);
        slots.setUserMemoryRegion(region(1 << 16, 0, 0, 64));
        assertThat(errno(arm64, capability, 0, 0)).as("a slot").isEqualTo(Errno.EINVAL);
        slots.setUserMemoryRegion(UserMemoryRegion.deletionOf(1 << 16));
        assertThat(arm64.newBitmap(64)).isNull();
        assertThat(errno(arm64, capability, 0, 0)).isNull();
        assertThat(arm64.newBitmap(64)).isNotNull();
        assertThat(arm64.usesRing()).isTrue();

        x86.enable(DirtyModes.RING, 0, 0x1000);
        slots.setUserMemoryRegion(ram(1, 0, 1));
        assertThat(errno(x86, capability, 0, 0)).as("not on x86").isEqualTo(Errno.EINVAL);
    }

    @Test
    void protectionAtTheStartOfLogging() {
        assertThat(x86.protectsOnLogStart()).isTrue();
        x86.enable(DirtyModes.MANUAL_PROTECT2, 0, 3);
        assertThat(x86.protectsOnLogStart()).as("all bits start set").isFalse();
        x86.enable(DirtyModes.RING, 0, 0x1000);
        assertThat(x86.protectsOnLogStart()).as("nothing starts set").isTrue();
    }
}
