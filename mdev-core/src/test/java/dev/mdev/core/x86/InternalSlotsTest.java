package dev.mdev.core.x86;

import static dev.mdev.core.memslot.SlotRequests.errnoOf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.FakeHostMemory;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.SlotIds;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

class InternalSlotsTest {
    private static final long TSS_GPA = 0xfffb_d000L;
    private static final long USER_HVA = 0x1000_0000L;

    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());
    private final FakeHostMemory host = new FakeHostMemory();

    @Test
    void restrictedVmxInstallsTheTssInEveryAddressSpaceOverOneMapping() {
        internal(VendorModel.VMX_RESTRICTED).setTssAddress(TSS_GPA);
        Memslot first = slot(SlotIds.TSS);
        Memslot second = slot(1 << 16 | SlotIds.TSS);
        assertThat(first.gfns()).isEqualTo(second.gfns());
        assertThat(first.npages()).isEqualTo(3);
        assertThat(first.hva()).isEqualTo(second.hva());
        assertThat(first.flags()).isZero();
        assertThat(first.isVisible()).isFalse();
    }

    @Test
    void theTssHasItsIoBitmapBaseAndItsLastByte() {
        internal(VendorModel.VMX_RESTRICTED).setTssAddress(TSS_GPA);
        long hva = slot(SlotIds.TSS).hva();
        assertThat(host.intAt(hva + 0x66)).isEqualTo(0x68 + 32);
        assertThat(host.byteAt(hva + 0x68 + 32 + 8192)).isEqualTo((byte) 0xff);
        assertThat(host.byteAt(hva + 0x68 + 32 + 8192 - 1)).isZero();
        assertThat(host.byteAt(hva + 0x68 + 32 + 8192 + 1)).isZero();
    }

    @Test
    void theIdentityMapMapsEachFourMegabytesToThemselves() {
        internal(VendorModel.VMX_RESTRICTED).addVcpu(false);
        Memslot map = slot(SlotIds.IDENTITY_MAP);
        assertThat(map.baseGfn()).isEqualTo(Page.numberOf(InternalSlots.DEFAULT_IDENTITY_MAP_GPA));
        assertThat(host.intAt(map.hva())).isEqualTo(0xe7);
        assertThat(host.intAt(map.hva() + 4 * 1023)).isEqualTo(0xffc0_00e7);
    }

    @Test
    void contentIsNotWrittenThroughSlotsSoNothingIsMarked() {
        List<Memslot> marked = new ArrayList<>();
        spaces.setDirtySink((slot, _, _) -> marked.add(slot));
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        internal.setTssAddress(TSS_GPA);
        internal.addVcpu(true);
        assertThat(marked).isEmpty();
        assertThat(spaces.loggingSlots()).isZero();
    }

    @Test
    void theTssIsPlacedOnceOnRestrictedVmx() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        internal.setTssAddress(TSS_GPA);
        requireErrno(Errno.EEXIST, () -> internal.setTssAddress(TSS_GPA));
        requireErrno(Errno.EEXIST, () -> internal.setTssAddress(0x1000));
        assertThat(host.mappedPages()).isEqualTo(3);
    }

    @ParameterizedTest
    @EnumSource(value = VendorModel.class, mode = EnumSource.Mode.EXCLUDE, names = "VMX_RESTRICTED")
    void othersTakeAnyTssAddressAnyTimeAndInstallNothing(VendorModel vendor) {
        InternalSlots internal = internal(vendor);
        internal.setTssAddress(TSS_GPA);
        internal.setTssAddress(0x1234);
        internal.addVcpu(false);
        assertThat(spaces.active(0).size()).isZero();
        assertThat(errnoOf(spaces, user(TSS_GPA))).isNull();
    }

    @ParameterizedTest
    @EnumSource(VendorModel.class)
    void aTssAboveItsLimitIsInvalidEverywhere(VendorModel vendor) {
        InternalSlots internal = internal(vendor);
        requireErrno(Errno.EINVAL, () -> internal.setTssAddress(0xffff_d001L));
        requireErrno(Errno.EINVAL, () -> internal.setTssAddress(-1));
        internal.setTssAddress(0xffff_d000L);
    }

    @Test
    void aTssThatIsNotAlignedIsInvalidAndLeavesNothingBehind() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        requireErrno(Errno.EINVAL, () -> internal.setTssAddress(0x1234));
        assertThat(host.mappedPages()).isZero();
        internal.setTssAddress(TSS_GPA);
    }

    @Test
    void noMemoryForASlotIsNoMemory() {
        host.setOutOfMemory(true);
        requireErrno(
                Errno.ENOMEM, () -> internal(VendorModel.VMX_RESTRICTED).setTssAddress(TSS_GPA));
        assertThat(spaces.active(0).size()).isZero();
    }

    @Test
    void aUserSlotInTheWayOrOverAnInternalOneExists() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        assertThat(errnoOf(spaces, user(TSS_GPA + 0x1000))).isNull();
        requireErrno(Errno.EEXIST, () -> internal.setTssAddress(TSS_GPA));
        assertThat(host.mappedPages()).isZero();
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(0));
        internal.setTssAddress(TSS_GPA);
        assertThat(errnoOf(spaces, user(TSS_GPA + 0x2000))).isEqualTo(Errno.EEXIST);
    }

    @Test
    void aUserSlotInTheWayInTheSecondSpaceLeavesTheFirstInstalled() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        UserMemoryRegion inTheWay = new UserMemoryRegion(1 << 16, 0, TSS_GPA, Page.SIZE, USER_HVA);
        spaces.setUserMemoryRegion(inTheWay);
        requireErrno(Errno.EEXIST, () -> internal.setTssAddress(TSS_GPA));
        assertThat(slot(SlotIds.TSS).npages()).isEqualTo(3);
        assertThat(host.mappedPages()).as("the slot's memory stays").isEqualTo(3);
        internal.close();
        assertThat(spaces.slotOf(SlotIds.TSS)).isNull();
        assertThat(host.mappedPages()).isZero();
    }

    @Test
    void theIdentityMapGoesWhereTheLastCallBeforeTheFirstVcpuSaid() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        internal.setIdentityMapAddress(0x1000_0000L);
        internal.setIdentityMapAddress(0x2000_0000L);
        internal.addVcpu(false);
        internal.addVcpu(false);
        assertThat(slot(SlotIds.IDENTITY_MAP).baseGfn()).isEqualTo(0x2_0000);
        requireErrno(Errno.EINVAL, () -> internal.setIdentityMapAddress(0x1000_0000L));
    }

    @Test
    void anIdentityMapAddressIsOnlyStoredWhereNoneIsNeeded() {
        InternalSlots internal = internal(VendorModel.NONE);
        internal.setIdentityMapAddress(0x123);
        internal.addVcpu(true);
        assertThat(spaces.active(0).size()).isZero();
        requireErrno(Errno.EINVAL, () -> internal.setIdentityMapAddress(0));
    }

    @Test
    void aVcpuThatCannotBeCreatedIsNotCounted() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        internal.setIdentityMapAddress(0x123);
        requireErrno(Errno.EINVAL, () -> internal.addVcpu(false));
        internal.setIdentityMapAddress(0x2000_0000L);
        internal.addVcpu(false);
    }

    @Test
    void theApicPageComesWithTheFirstVcpuThatHasAnApicHere() {
        InternalSlots internal = internal(VendorModel.SVM_AVIC);
        internal.addVcpu(false);
        assertThat(internal.hasApicPage()).isFalse();
        internal.addVcpu(true);
        internal.addVcpu(true);
        assertThat(internal.hasApicPage()).isTrue();
        assertThat(slot(1 << 16 | SlotIds.APIC_ACCESS_PAGE).baseGfn()).isEqualTo(0xfee00);
        UserMemoryRegion over =
                new UserMemoryRegion(0, 0, InternalSlots.APIC_ACCESS_GPA, Page.SIZE, USER_HVA);
        assertThat(errnoOf(spaces, over)).isEqualTo(Errno.EEXIST);
    }

    @Test
    void anInhibitedApicPageNeverComesBack() {
        InternalSlots internal = internal(VendorModel.VMX_UNRESTRICTED);
        internal.inhibitApicPage();
        internal.addVcpu(true);
        assertThat(internal.hasApicPage()).as("nothing was there to inhibit").isTrue();
        internal.inhibitApicPage();
        internal.addVcpu(true);
        assertThat(internal.hasApicPage()).isFalse();
        assertThat(spaces.slotOf(1 << 16 | SlotIds.APIC_ACCESS_PAGE)).isNull();
        assertThat(host.mappedPages()).isZero();
    }

    @Test
    void closeRemovesAllAndUnmapsThem() {
        InternalSlots internal = internal(VendorModel.VMX_RESTRICTED);
        internal.setTssAddress(TSS_GPA);
        internal.addVcpu(true);
        assertThat(spaces.active(1).size()).isEqualTo(3);
        internal.close();
        assertThat(spaces.active(0).size()).isZero();
        assertThat(spaces.active(1).size()).isZero();
        assertThat(host.mappedPages()).isZero();
    }

    @Test
    void aDeadMachineRefuses() {
        spaces.kill("test");
        InternalSlots internal = internal(VendorModel.NONE);
        requireErrno(Errno.EIO, () -> internal.setTssAddress(-1));
        requireErrno(Errno.EIO, () -> internal.setIdentityMapAddress(0));
        requireErrno(Errno.EIO, () -> internal.addVcpu(true));
    }

    private InternalSlots internal(VendorModel vendor) {
        return new InternalSlots(spaces, vendor, host, host);
    }

    private UserMemoryRegion user(long gpa) {
        return new UserMemoryRegion(0, 0, gpa, Page.SIZE, USER_HVA);
    }

    private Memslot slot(int number) {
        return Objects.requireNonNull(spaces.slotOf(number));
    }

    private static void requireErrno(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }
}
