package dev.mdev.core.x86;

import static dev.mdev.core.memslot.SlotFlags.LOG_DIRTY_PAGES;
import static dev.mdev.core.memslot.SlotRequests.HVA;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.FakeHostMemory;
import dev.mdev.core.guestmem.VcpuMemoryAccess;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.x86.SystemManagementMode.Resume;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

class SystemManagementModeTest {
    private static final long SMBASE = 0xa_0000;
    private static final long HVA_OF_RAM = HVA;
    private static final long HVA_OF_SMRAM = HVA + 0x5000_0000L;

    private final AddressSpaces spaces = new AddressSpaces(SlotConfig.x86());
    private final FakeHostMemory host = new FakeHostMemory();
    private final VcpuMemslots slots = new VcpuMemslots(spaces, 3);
    private final FakeCpu cpu = new FakeCpu(slots);
    private final SystemManagementMode mode = new SystemManagementMode(slots, host, cpu);

    @Test
    void theStateIsWrittenWhereTheHandlerSeesItAndMarkedThere() {
        createBoth();
        mode.setSmbase(SMBASE);
        cpu.rip = 0x1234;
        mode.request();
        assertThat(mode.enterIfRequested()).isTrue();

        long rip = SmmState.OFFSET_FROM_SMBASE + FakeCpu.RIP - 0x7e00;
        assertThat(host.intAt(HVA_OF_SMRAM + rip)).isEqualTo(0x1234);
        assertThat(host.intAt(HVA_OF_SMRAM + 0xfefc)).as("revision").isEqualTo(0x2_0064);
        assertThat(host.intAt(HVA_OF_SMRAM + 0xff00)).as("smbase").isEqualTo((int) SMBASE);
        assertThat(host.intAt(HVA_OF_RAM + rip)).as("memory below").isZero();
        assertThat(bitmap(1 << 16).test(0xf)).isTrue();
        assertThat(bitmap(0).test(0xf)).isFalse();
        assertThat(cpu.calls)
                .containsExactly(
                        "save",
                        "beforeEntry",
                        "resetMmu in SMM",
                        "maskNmi in SMM",
                        "startHandler in SMM",
                        "resetMmu in SMM");
        assertThat(cpu.rip).isEqualTo(0x8000);
    }

    @Test
    void theStateIsReadBeforeTheSwitchBack() {
        createBoth();
        enter();
        cpu.calls.clear();
        assertThat(mode.resume()).isEqualTo(Resume.RESUMED);
        assertThat(cpu.rip).isEqualTo(0x1234);
        assertThat(cpu.nmiMasked).isFalse();
        assertThat(slots.asId()).isZero();
        assertThat(cpu.calls)
                .containsExactly("unmaskNmi in SMM", "resetMmu", "beforeRestore", "restore");
    }

    @Test
    void theHandlerCanMoveSmbase() {
        createBoth();
        enter();
        VcpuMemoryAccess memory = new VcpuMemoryAccess(slots, host);
        MemorySegment smbase = MemorySegment.ofArray(new byte[4]);
        smbase.set(ValueLayout.JAVA_INT_UNALIGNED, 0, 0x8123_4000);
        memory.write(SMBASE + 0xff00, smbase);
        mode.resume();
        assertThat(mode.smbase()).isEqualTo(0x8123_4000L);
    }

    @Test
    void nmisThatWereMaskedBeforeStayMaskedAfter() {
        createBoth();
        cpu.nmiMasked = true;
        enter();
        mode.resume();
        assertThat(cpu.nmiMasked).isTrue();
    }

    @Test
    void aStateThatCannotBeWrittenKillsTheMachine() {
        create(0, 0, HVA_OF_RAM);
        mode.setSmbase(SMBASE);
        mode.request();
        // Address space 0 has memory there, but the second inherits nothing.
        requireErrno(Errno.EIO, mode::enterIfRequested);
        assertThat(spaces.isDead()).isTrue();
        requireErrno(Errno.EIO, mode::enterIfRequested);
        requireErrno(Errno.EIO, mode::request);
        requireErrno(Errno.EIO, () -> spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(0)));
    }

    @Test
    void aProcessorThatCannotEnterKillsTheMachineInTheOldMode() {
        createBoth();
        mode.setSmbase(SMBASE);
        cpu.failsBeforeEntry = true;
        mode.request();
        requireErrno(Errno.EIO, mode::enterIfRequested);
        assertThat(slots.isInSmm()).isFalse();
        assertThat(spaces.isDead()).isTrue();
    }

    @Test
    void aHandlerThatCannotBeStartedKillsTheMachine() {
        createBoth();
        mode.setSmbase(SMBASE);
        cpu.failsStart = true;
        mode.request();
        requireErrno(Errno.EIO, mode::enterIfRequested);
        assertThat(spaces.isDead()).isTrue();
    }

    @Test
    void resumeOutsideOfSmmIsAnInvalidOpcodeAndChangesNothing() {
        createBoth();
        assertThat(mode.resume()).isEqualTo(Resume.INVALID_OPCODE);
        assertThat(cpu.calls).isEmpty();
        assertThat(spaces.isDead()).isFalse();
    }

    @Test
    void resumeWithoutAStateToReadStaysInSmm() {
        createBoth();
        enter();
        spaces.setUserMemoryRegion(UserMemoryRegion.deletionOf(1 << 16));
        assertThat(mode.resume()).isEqualTo(Resume.UNHANDLEABLE);
        assertThat(slots.isInSmm()).isTrue();
        assertThat(spaces.isDead()).isFalse();
    }

    @Test
    void resumeOfAStateThatCannotBeLoadedHasLeftSmm() {
        createBoth();
        enter();
        cpu.failsRestore = true;
        assertThat(mode.resume()).isEqualTo(Resume.UNHANDLEABLE);
        assertThat(slots.isInSmm()).isFalse();
        assertThat(cpu.calls).contains("restore");

        cpu.failsRestore = false;
        cpu.calls.clear();
        mode.request();
        mode.enterIfRequested();
        cpu.failsBeforeRestore = true;
        assertThat(mode.resume()).isEqualTo(Resume.UNHANDLEABLE);
        assertThat(cpu.calls).doesNotContain("restore");
    }

    @Test
    void requestsInSmmWaitForItsEndAndAreOne() {
        createBoth();
        enter();
        mode.request();
        mode.request();
        assertThat(mode.enterIfRequested()).isFalse();
        mode.resume();
        assertThat(mode.enterIfRequested()).isTrue();
        mode.resume();
        assertThat(mode.enterIfRequested()).isFalse();
    }

    @Test
    void theModeCanBeSetWithoutSavingAnything() {
        createBoth();
        mode.set(true);
        assertThat(slots.asId()).isEqualTo(1);
        mode.set(true);
        mode.set(false);
        assertThat(cpu.calls).containsExactly("resetMmu in SMM", "resetMmu");
    }

    @Test
    void aMachineWithoutSmmRefuses() {
        AddressSpaces plain = new AddressSpaces(SlotConfig.withoutSmm());
        VcpuMemslots vcpu = new VcpuMemslots(plain, 0);
        SystemManagementMode none = new SystemManagementMode(vcpu, host, new FakeCpu(vcpu));
        requireErrno(Errno.ENOTTY, none::request);
        requireErrno(Errno.EINVAL, () -> none.set(true));
        none.set(false);
    }

    private void enter() {
        mode.setSmbase(SMBASE);
        cpu.rip = 0x1234;
        mode.request();
        mode.enterIfRequested();
    }

    private void createBoth() {
        create(0, LOG_DIRTY_PAGES, HVA_OF_RAM);
        create(1 << 16, LOG_DIRTY_PAGES, HVA_OF_SMRAM);
    }

    private void create(int slot, int flags, long hva) {
        spaces.setUserMemoryRegion(new UserMemoryRegion(slot, flags, SMBASE, 16L * Page.SIZE, hva));
        host.mapPages(hva, 16);
    }

    private DirtyBitmap bitmap(int slot) {
        return Objects.requireNonNull(Objects.requireNonNull(spaces.slotOf(slot)).bitmap());
    }

    private static void requireErrno(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }
}
