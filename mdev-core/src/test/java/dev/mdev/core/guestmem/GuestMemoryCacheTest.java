package dev.mdev.core.guestmem;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;
import static dev.mdev.core.memslot.SlotFlags.READONLY;
import static dev.mdev.core.memslot.SlotRequests.HVA;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

class GuestMemoryCacheTest {
    private static final long HVA_2 = HVA + 0x5000_0000L;

    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());
    private final FakeHostMemory host = new FakeHostMemory();
    private final GuestMemoryCache cache = new GuestMemoryCache(spaces, host);

    @BeforeEach
    void createSlot() {
        host.mapPages(HVA, 16);
        host.mapPages(HVA_2, 16);
        create(1, LOG_DIRTY_PAGES, 0x10, 4, HVA);
    }

    @Test
    void followsASlotThatIsCreatedAnewAtOtherHostMemory() {
        assertThat(cache.init(0x10_100, 16).isOk()).isTrue();
        cache.write(4, bytes(1));
        assertThat(host.byteAt(HVA + 0x104)).isEqualTo((byte) 1);

        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1));
        assertThat(cache.write(4, bytes(2))).isEqualTo(new AccessOutcome.Fault(0x10_104));
        create(1, 0, 0x10, 4, HVA_2);
        assertThat(cache.write(4, bytes(3)).isOk()).isTrue();

        assertThat(host.byteAt(HVA + 0x104)).isEqualTo((byte) 1);
        assertThat(host.byteAt(HVA_2 + 0x104)).isEqualTo((byte) 3);
    }

    @Test
    void writesMarkThePageOfTheStructureAndReadsNone() {
        cache.init(0x11_000, 16);
        cache.read(0, bytes(0));
        assertThat(isDirty(1)).isFalse();
        cache.write(8, bytes(1));
        assertThat(isDirty(1)).isTrue();
        assertThat(isDirty(0)).isFalse();
    }

    @Test
    void afterARangeThatWrapsTheFormerPlaceIsNotUsedUntilTheSlotsChange() {
        cache.init(0x10_100, 16);
        assertThatThrownBy(() -> cache.init(-8, 16)).isInstanceOf(MdevException.class);

        assertThat(cache.write(0, bytes(1)).isOk()).isFalse();
        create(2, 0, 0x100, 1, HVA_2);
        assertThat(cache.write(0, bytes(1)).isOk()).isTrue();
    }

    @Test
    void aStructureOfTwoPagesGoesTheSlowWayAlsoWithinOneSlot() {
        assertThat(cache.init(0x10_ffc, 8).isOk()).isTrue();
        assertThat(cache.write(0, bytes(1, 2, 3, 4, 5, 6, 7, 8)).isOk()).isTrue();
        assertThat(host.byteAt(HVA + 0x1003)).isEqualTo((byte) 8);
        assertThat(isDirty(0)).isTrue();
        assertThat(isDirty(1)).isTrue();
        MemorySegment two = bytes(0, 0);
        cache.read(3, two);
        assertThat(two.toArray(ValueLayout.JAVA_BYTE)).containsExactly(4, 5);
    }

    @Test
    void aStructureMaySpanSlotsButNoHoleAndNothingReadOnly() {
        create(2, 0, 0x14, 1, HVA_2);
        create(3, READONLY, 0x15, 1, HVA_2 + 0x1000);
        assertThat(cache.init(0x13_ffc, 8).isOk()).isTrue();
        assertThat(cache.init(0x14_ffc, 8)).isEqualTo(new AccessOutcome.Fault(0x15_000));
        assertThat(cache.init(0x15_000, 8).isOk()).as("readers need write access too").isFalse();
        assertThat(cache.init(0xf_ffc, 8)).isEqualTo(new AccessOutcome.Fault(0xf_ffc));
    }

    @Test
    void aWrappingOrEmptyRangeIsInvalid() {
        requireInvalid(() -> cache.init(-8, 16));
        requireInvalid(() -> cache.init(0x10_000, 0));
        assertThat(cache.init(0x10_001, 0).isOk()).isTrue();
    }

    @Test
    void anAccessBeyondTheStructureIsInvalid() {
        cache.init(0x10_000, 16);
        requireInvalid(() -> cache.write(15, bytes(1, 2)));
        requireInvalid(() -> cache.read(17, bytes()));
        requireInvalid(() -> cache.read(-1, bytes(0)));
        assertThat(cache.read(16, bytes()).isOk()).isTrue();
    }

    @Test
    void aFailedInitIsTriedAgainOnlyWhenTheSlotsChangeAndThenForTheFormerPlace() {
        cache.init(0x10_000, 16);
        assertThat(cache.init(0x20_000, 16).isOk()).isFalse();
        assertThat(cache.write(0, bytes(1)).isOk()).isFalse();
        create(2, 0, 0x20, 1, HVA_2);
        assertThat(cache.write(0, bytes(1)).isOk()).isTrue();
        assertThat(host.byteAt(HVA)).isEqualTo((byte) 1);
        assertThat(host.byteAt(HVA_2)).isZero();
    }

    @Test
    void aChangeInAnotherAddressSpaceDoesNotMatter() {
        cache.init(0x10_000, 16);
        create(1 << 16, 0, 0x10, 4, HVA_2);
        cache.write(0, bytes(1));
        assertThat(host.byteAt(HVA)).isEqualTo((byte) 1);
        assertThat(host.byteAt(HVA_2)).isZero();
    }

    @Test
    void hostMemoryThatIsGoneFaultsAndIsNotMarked() {
        cache.init(0x10_000, 16);
        host.unmapPage(HVA);
        assertThat(cache.write(0, bytes(1)).isOk()).isFalse();
        assertThat(cache.read(0, bytes(1)).isOk()).isFalse();
        assertThat(isDirty(0)).isFalse();
    }

    @Test
    void beforeInitThereIsNothingToRead() {
        requireInvalid(() -> cache.read(0, bytes(0)));
        assertThat(cache.read(0, bytes()).isOk()).isFalse();
    }

    private static void requireInvalid(ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EINVAL));
    }

    private boolean isDirty(long page) {
        Memslot slot = Objects.requireNonNull(spaces.slotOf(1));
        return Objects.requireNonNull(slot.bitmap()).test(page);
    }

    private void create(int slot, int flags, long gfn, long npages, long hva) {
        spaces.setUserMemoryRegion(
                new UserMemoryRegion(
                        slot, flags, Page.addressOf(gfn), Page.addressOf(npages), hva));
    }

    private static MemorySegment bytes(int... values) {
        byte[] bytes = new byte[values.length];
        for (int i = 0; i < values.length; i++) {
            bytes[i] = (byte) values[i];
        }
        return MemorySegment.ofArray(bytes);
    }
}
