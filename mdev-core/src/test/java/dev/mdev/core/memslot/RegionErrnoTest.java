package dev.mdev.core.memslot;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;
import static dev.mdev.core.memslot.SlotFlags.READONLY;
import static dev.mdev.core.memslot.SlotFlags.SMRAM;
import static dev.mdev.core.memslot.SlotRequests.HVA;
import static dev.mdev.core.memslot.SlotRequests.errnoOf;
import static dev.mdev.core.memslot.SlotRequests.ram;
import static dev.mdev.core.memslot.SlotRequests.region;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import java.util.Objects;
import java.util.stream.Stream;

/// Every way in which Linux refuses `KVM_SET_USER_MEMORY_REGION`, in the order of its checks.
class RegionErrnoTest {
    private static final long HVA_LIMIT = 0x7fff_ffff_f000L;
    private static final long TOP_GPA = -0x1000L;

    /// Slot 1 of address space 0: frames 0x10 to 0x1f. Slot 2 logs: frames 0x20 to 0x27.
    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());

    @BeforeEach
    void createSlots() {
        spaces.setUserMemoryRegion(ram(1, 0x10, 16));
        spaces.setUserMemoryRegion(region(2, LOG_DIRTY_PAGES, 0x20, 8));
    }

    static Stream<Arguments> invalidRequests() {
        return Stream.of(
                row("unknown flag", region(5, 4, 0x100, 1)),
                row("flag that was proposed only", region(5, SMRAM, 0x100, 1)),
                row("the machine's own flag", region(5, SlotFlags.INVALID, 0x100, 1)),
                row("unknown flag on deletion", region(1, 1 << 31, 0x10, 0)),
                row("first id that is not the VMM's", ram(32764, 0x100, 1)),
                row("last id", ram(65535, 0x100, 1)),
                row("id of the machine's own in another space", ram(1 << 16 | 32766, 0x100, 1)),
                row("size not in pages", new UserMemoryRegion(5, 0, 0x10_0000, 0x1001, HVA)),
                row("gpa not aligned", new UserMemoryRegion(5, 0, 0x10_0800, 0x1000, HVA)),
                row("hva not aligned", new UserMemoryRegion(5, 0, 0x10_0000, 0x1000, HVA + 1)),
                row("hva not user space", new UserMemoryRegion(5, 0, 0x10_0000, 0x1000, -0x1000L)),
                row(
                        "hvas one page over the limit",
                        new UserMemoryRegion(5, 0, 0x10_0000, 0x2000, HVA_LIMIT - 0x1000)),
                row(
                        "size beyond user space",
                        new UserMemoryRegion(5, 0, 0x10_0000, Long.MIN_VALUE, 0)),
                row("deletion with gpa not aligned", new UserMemoryRegion(1, 0, 0x800, 0, 0)),
                row("deletion with hva not aligned", new UserMemoryRegion(1, 0, 0, 0, 0x800)),
                row(
                        "deletion with hva over the limit",
                        new UserMemoryRegion(1, 0, 0, 0, HVA_LIMIT + 0x1000)),
                row("no such address space", ram(2 << 16, 0x100, 1)),
                row("no address space at all", ram(0xffff << 16, 0x100, 1)),
                row("gpas end at 2^64", new UserMemoryRegion(5, 0, TOP_GPA, 0x1000, HVA)),
                row("gpas wrap", new UserMemoryRegion(5, 0, TOP_GPA, 0x2000, HVA)),
                row(
                        "2^31 pages",
                        new UserMemoryRegion(5, 0, 0x1_0000_0000L, 1L << 43, 0x1000_0000L)),
                row("deletion of a slot that is not there", UserMemoryRegion.deletionOf(5)),
                row("deletion in the other space", UserMemoryRegion.deletionOf(1 << 16 | 1)),
                row(
                        "other hva",
                        new UserMemoryRegion(1, 0, 0x1_0000, 0x1_0000, HVA + (1L << 30) + 0x1000)),
                row("grown", ram(1, 0x10, 17)),
                row("shrunk", ram(1, 0x10, 15)),
                row("made read-only", region(1, READONLY, 0x10, 16)),
                row("moved and made read-only", region(1, READONLY, 0x1000, 16)),
                row("moved and grown", ram(1, 0x1000, 17)),
                row("highest gfn too high", ram(5, (1L << 40) - 15, 16)));
    }

    static Stream<Arguments> validRequests() {
        return Stream.of(
                row("highest id", ram(32763, 0x100, 1)),
                row("the other address space, same frames", ram(1 << 16 | 1, 0x10, 16)),
                row("both flags", region(5, LOG_DIRTY_PAGES | READONLY, 0x100, 1)),
                row("hva 0", new UserMemoryRegion(5, 0, 0x10_0000, 0x1000, 0)),
                row(
                        "hvas end at the limit",
                        new UserMemoryRegion(5, 0, 0x10_0000, 0x1000, HVA_LIMIT - 0x1000)),
                row(
                        "deletion with hva at the limit, any gpa, any legal flags",
                        new UserMemoryRegion(1, READONLY, TOP_GPA, 0, HVA_LIMIT)),
                row(
                        "2^31 - 1 pages",
                        new UserMemoryRegion(
                                5, 0, 0x1_0000_0000L, (1L << 43) - 0x1000, 0x1000_0000L)),
                row("right after a slot", ram(5, 0x28, 1)),
                row("right before a slot", ram(5, 0xf, 1)),
                row("same host memory twice", ram(1, 0x10, 16)),
                row("highest gfn", ram(5, (1L << 40) - 16, 16)),
                row("moved over its own old place", ram(1, 0x8, 16)),
                row("moved, and logs now", region(1, LOG_DIRTY_PAGES, 0x100, 16)));
    }

    static Stream<Arguments> overlappingRequests() {
        return Stream.of(
                row("same frames", ram(5, 0x10, 16)),
                row("first frame", ram(5, 0, 0x11)),
                row("last frame", ram(5, 0x27, 8)),
                row("inside", ram(5, 0x18, 1)),
                row("around both", ram(5, 0, 0x100)),
                row("moved onto another", ram(1, 0x18, 16)),
                row("overlap is found before the reach", ram(5, 0x20, 1L << 30)));
    }

    private static Arguments row(String name, UserMemoryRegion region) {
        return Arguments.of(name, region);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("invalidRequests")
    void isRefusedAsInvalidAndChangesNothing(String name, UserMemoryRegion region) {
        requireRefusal(region, Errno.EINVAL);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("overlappingRequests")
    void isRefusedAsOverlappingAndChangesNothing(String name, UserMemoryRegion region) {
        requireRefusal(region, Errno.EEXIST);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("validRequests")
    void isCarriedOut(String name, UserMemoryRegion region) {
        assertThat(errnoOf(spaces, region)).isNull();
    }

    @Test
    void overlapIsFoundBeforeTheReach() {
        AddressSpaces small =
                new AddressSpaces(new SlotConfig(1, 0xff, Long.MAX_VALUE & ~0xfffL, false));
        small.setUserMemoryRegion(ram(0, 0xf0, 16));
        assertThat(errnoOf(small, ram(1, 0xff, 2))).isEqualTo(Errno.EEXIST);
        assertThat(errnoOf(small, ram(1, 0x100, 1))).isEqualTo(Errno.EINVAL);
    }

    @Test
    void aBitmapThatDoesNotFitIsNoMemoryAndRollsBack() {
        spaces.setBitmapPolicy(_ -> {
            throw new OutOfMemoryError("for the test");
        });
        Memslot before = slot(1);
        assertThat(errnoOf(spaces, region(1, LOG_DIRTY_PAGES, 0x100, 16))).isEqualTo(Errno.ENOMEM);
        assertThat(slot(1)).isSameAs(before);
        assertThat(errnoOf(spaces, region(7, LOG_DIRTY_PAGES, 0x100, 16))).isEqualTo(Errno.ENOMEM);
        assertThat(spaces.slotOf(7)).isNull();
    }

    @Test
    void aDeadMachineRefusesEverythingFirst() {
        spaces.kill("test");
        assertThat(spaces.isDead()).isTrue();
        assertThat(errnoOf(spaces, ram(5, 0x100, 1))).isEqualTo(Errno.EIO);
        assertThat(errnoOf(spaces, region(70000, 1 << 31, 0x10, 1))).isEqualTo(Errno.EIO);
        assertThatThrownBy(spaces::requireAlive)
                .isInstanceOf(MdevException.class)
                .hasMessageContaining("test");
    }

    @Test
    void smramFlagCanNotBeToggled() {
        AddressSpaces flagged = new AddressSpaces(SlotConfig.withSmramFlag());
        flagged.setUserMemoryRegion(region(1, SMRAM, 0xa0, 16));
        assertThat(errnoOf(flagged, ram(1, 0xa0, 16))).isEqualTo(Errno.EINVAL);
        assertThat(errnoOf(flagged, region(1, SMRAM, 0xb0, 16))).isNull();
    }

    private void requireRefusal(UserMemoryRegion region, Errno errno) {
        Memslot first = slot(1);
        Memslot second = slot(2);
        long pages = spaces.totalPages();
        assertThat(errnoOf(spaces, region)).isEqualTo(errno);
        assertThat(slot(1)).isSameAs(first);
        assertThat(slot(2)).isSameAs(second);
        assertThat(spaces.active(0).size()).isEqualTo(2);
        assertThat(spaces.active(1).size()).isZero();
        assertThat(spaces.totalPages()).isEqualTo(pages);
    }

    private Memslot slot(int id) {
        return Objects.requireNonNull(spaces.slotOf(id));
    }
}
