package dev.mdev.core.x86;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.guestmem.AccessOutcome;
import dev.mdev.core.guestmem.HostMemoryAccess;
import dev.mdev.core.guestmem.VcpuMemoryAccess;
import dev.mdev.core.memslot.VcpuMemslots;

/// One vCPU's way into and out of system management mode (Linux `arch/x86/kvm/smm.c`).
///
///     entry:  save registers -> switch address space, reset MMU -> write state -> start handler
///     exit:   read state -> switch address space, reset MMU -> load registers
///
/// The state is written after the switch and read before the switch back, so it is always in the
/// memory that the handler sees. All methods except [#request] are for the vCPU's thread.
public final class SystemManagementMode {
    /// The outcome of an RSM instruction.
    public enum Resume {
        /// The interrupted program continues.
        RESUMED,
        /// The vCPU was outside system management mode: the guest gets #UD, and nothing changed.
        INVALID_OPCODE,
        /// The instruction cannot be carried out. If the state is unreadable, the vCPU is still in
        /// system management mode; otherwise it has left it.
        UNHANDLEABLE
    }

    /// Where a processor has smbase after reset.
    public static final long RESET_SMBASE = 0x3_0000;

    /// The format's revision: AMD64's, with relocation of smbase.
    private static final int REVISION_WITH_RELOCATION = 0x2_0064;

    private final VcpuMemslots slots;
    private final VcpuMemoryAccess memory;
    private final SmmCpu cpu;
    private long smbase = RESET_SMBASE;
    private boolean insideNmi;
    private volatile boolean requested;

    public SystemManagementMode(VcpuMemslots slots, HostMemoryAccess host, SmmCpu cpu) {
        this.slots = slots;
        this.memory = new VcpuMemoryAccess(slots, host);
        this.cpu = cpu;
    }

    /// The 32-bit address of the handler's memory.
    public long smbase() {
        return smbase;
    }

    /// Sets smbase (`MSR_IA32_SMBASE`).
    ///
    /// @param smbase its low 32 bits count
    public void setSmbase(long smbase) {
        this.smbase = Integer.toUnsignedLong((int) smbase);
    }

    /// Requests an entry (`KVM_SMI`). Several requests before the entry, or in system management
    /// mode, count as one.
    ///
    /// @throws MdevException EIO if the machine is dead, ENOTTY if it has no system management mode
    public void request() {
        slots.spaces().requireAlive();
        requireSupport();
        requested = true;
    }

    /// Whether an entry is requested that has not happened.
    public boolean isRequested() {
        return requested;
    }

    /// Enters if an entry is requested and the vCPU is outside system management mode. Called
    /// before the guest runs.
    ///
    /// @return whether it entered
    /// @throws MdevException EIO if the machine is dead, or dies now because the state cannot be
    ///   written
    public boolean enterIfRequested() {
        slots.spaces().requireAlive();
        if (!requested || slots.isInSmm()) {
            return false;
        }
        requested = false;
        enter();
        return true;
    }

    /// Carries out RSM. The caller turns [Resume#INVALID_OPCODE] into #UD.
    public Resume resume() {
        if (!slots.isInSmm()) {
            return Resume.INVALID_OPCODE;
        }
        SmmState state = new SmmState();
        if (!memory.read(smbase + SmmState.OFFSET_FROM_SMBASE, state.bytes()).isOk()) {
            return Resume.UNHANDLEABLE;
        }
        if (!insideNmi) {
            cpu.maskNmi(false);
        }
        switchTo(false);
        if (!cpu.beforeRestore(state)) {
            return Resume.UNHANDLEABLE;
        }
        setSmbase(state.getInt(SmmState.SMBASE));
        return cpu.restore(state) ? Resume.RESUMED : Resume.UNHANDLEABLE;
    }

    /// Switches modes without saving or loading state (`KVM_SET_VCPU_EVENTS`): a vCPU's state is
    /// being restored after a migration.
    ///
    /// @throws MdevException EIO if the machine is dead, EINVAL if it has no system management mode
    public void set(boolean inSmm) {
        slots.spaces().requireAlive();
        if (inSmm && !slots.spaces().config().supportsSmm()) {
            throw new MdevException(Errno.EINVAL, "inSmm=true: no system management mode");
        }
        if (inSmm != slots.isInSmm()) {
            switchTo(inSmm);
        }
    }

    private void enter() {
        SmmState state = new SmmState();
        state.setInt(SmmState.REVISION, REVISION_WITH_RELOCATION);
        state.setInt(SmmState.SMBASE, (int) smbase);
        cpu.save(state);
        if (!cpu.beforeEntry(state)) {
            throw dies("the processor cannot enter");
        }
        switchTo(true);
        AccessOutcome written = memory.write(smbase + SmmState.OFFSET_FROM_SMBASE, state.bytes());
        if (!written.isOk()) {
            throw dies("the state cannot be written: " + written);
        }
        insideNmi = cpu.maskNmi(true);
        if (!cpu.startHandler(smbase)) {
            throw dies("the handler's registers cannot be loaded");
        }
        cpu.resetMmu();
    }

    private void switchTo(boolean inSmm) {
        slots.setInSmm(inSmm);
        cpu.resetMmu();
    }

    private MdevException dies(String why) {
        String cause =
                "vcpu=%d smbase=0x%x: entry to system management mode: %s"
                        .formatted(slots.vcpuId(), smbase, why);
        slots.spaces().kill(cause);
        return new MdevException(Errno.EIO, cause);
    }

    private void requireSupport() {
        if (!slots.spaces().config().supportsSmm()) {
            throw new MdevException(Errno.ENOTTY, "no system management mode");
        }
    }
}
