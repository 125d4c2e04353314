package dev.mdev.core.engine.kvm.stub;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.FileMapping;
import dev.mdev.core.sys.KvmAbi;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.KvmVcpuAbi.GuestDebug;
import dev.mdev.core.sys.KvmVcpuAbi.MsrEntry;
import dev.mdev.core.sys.KvmVcpuAbi.Msrs;
import dev.mdev.core.sys.KvmVcpuAbi.Regs;
import dev.mdev.core.sys.KvmVcpuAbi.Run;
import dev.mdev.core.sys.KvmVcpuAbi.Segment;
import dev.mdev.core.sys.KvmVcpuAbi.Sregs;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A virtual processor of the kernel that runs [GuestStub], and the position of the program.
///
/// It runs at privilege level 3 in 64-bit mode: there, a processor without two-dimensional paging
/// executes guest instructions natively through shadow page tables, while the kernel would have to
/// interpret them at level 0. There is no interrupt table; an exception in the guest would be a bug
/// of this package and ends in `KVM_EXIT_SHUTDOWN`.
///
/// The processor's own thread calls all methods; the constructor may run on any thread.
public final class StubVcpu implements AutoCloseable {
    private static final long CR0_PG_AM_WP_NE_ET_MP_PE = 0x8005_0033L;
    private static final long CR4_PAE_OSFXSR_OSXMMEXCPT = 0x620;
    private static final long EFER_LMA_LME = 0x500;
    private static final long RFLAGS_FIXED = 2;
    private static final int USER_LEVEL = 3;
    private static final int TYPE_CODE = 11;
    private static final int TYPE_DATA = 3;
    private static final int SELECTOR_CODE = 0x33;
    private static final int SELECTOR_DATA = 0x2b;
    private static final int MSR_IA32_SMBASE = 0x9e;

    private final Syscalls sys;
    private final GuestStub stub;
    private final StubMemory memory;
    private final NativeFd fd;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment run;
    private final MemorySegment regs = arena.allocate(Regs.SIZE, Long.BYTES);

    /// What the program runs with.
    private final MemorySegment sregs = arena.allocate(Sregs.SIZE, Long.BYTES);

    private StubRow row = StubRow.NONE;

    /// Whether the program stopped at its doorbell, or never ran: it fetches its next row.
    private boolean parked = true;

    /// Whether the kernel waits for the outcome of an MMIO access.
    private boolean ioPending;

    /// @param addressSpaces 2 for a machine with system management mode, otherwise 1
    public StubVcpu(KvmVm vm, GuestStub stub, int vcpuId, int addressSpaces) {
        this.sys = vm.sys();
        this.stub = stub;
        this.fd = vm.createVcpu(vcpuId);
        StubMemory hidden = null;
        try {
            this.run = mapRun(vm.runSizeBytes());
            hidden = new StubMemory(vm, stub, vcpuId, addressSpaces);
            this.memory = hidden;
            sys.ioctl(
                    fd, KvmVcpuAbi.KVM_SET_CPUID2, vm.supportedCpuid().address(), "KVM_SET_CPUID2");
            initSregs();
            setRegs();
        } catch (RuntimeException | Error e) {
            if (hidden != null) {
                hidden.close();
            }
            arena.close();
            fd.close();
            throw e;
        }
    }

    private MemorySegment mapRun(int sizeBytes) {
        long hva =
                sys.mmap(
                        new Syscalls.Placement(
                                0,
                                sizeBytes,
                                LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE,
                                LinuxAbi.MAP_SHARED),
                        fd,
                        0);
        return FileMapping.segmentAt(arena, hva, sizeBytes, () -> sys.munmap(hva, sizeBytes));
    }

    /// Maps the processor's dirty ring, until it is closed.
    public MemorySegment mapDirtyRing(int sizeBytes) {
        long hva =
                sys.mmap(
                        new Syscalls.Placement(
                                0,
                                sizeBytes,
                                LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE,
                                LinuxAbi.MAP_SHARED),
                        fd,
                        (long) KvmAbi.KVM_DIRTY_LOG_PAGE_OFFSET * Page.SIZE);
        return FileMapping.segmentAt(arena, hva, sizeBytes, () -> sys.munmap(hva, sizeBytes));
    }

    private void initSregs() {
        sys.ioctl(fd, KvmVcpuAbi.KVM_GET_SREGS, sregs.address(), "KVM_GET_SREGS");
        setSegment(sregs.asSlice(Sregs.CS, Segment.SIZE), SELECTOR_CODE, TYPE_CODE);
        for (int data : new int[] {Sregs.DS, Sregs.ES, Sregs.FS, Sregs.GS, Sregs.SS}) {
            setSegment(sregs.asSlice(data, Segment.SIZE), SELECTOR_DATA, TYPE_DATA);
        }
        sregs.set(ValueLayout.JAVA_LONG, Sregs.CR0, CR0_PG_AM_WP_NE_ET_MP_PE);
        sregs.set(ValueLayout.JAVA_LONG, Sregs.CR3, memory.rootGpa());
        sregs.set(ValueLayout.JAVA_LONG, Sregs.CR4, CR4_PAE_OSFXSR_OSXMMEXCPT);
        sregs.set(ValueLayout.JAVA_LONG, Sregs.EFER, EFER_LMA_LME);
        setSregs();
    }

    private void setSregs() {
        sys.ioctl(fd, KvmVcpuAbi.KVM_SET_SREGS, sregs.address(), "KVM_SET_SREGS");
    }

    private static void setSegment(MemorySegment segment, int selector, int type) {
        boolean code = type == TYPE_CODE;
        segment.fill((byte) 0);
        segment.set(ValueLayout.JAVA_INT, Segment.LIMIT, -1);
        segment.set(ValueLayout.JAVA_SHORT, Segment.SELECTOR, (short) selector);
        segment.set(ValueLayout.JAVA_BYTE, Segment.TYPE, (byte) type);
        segment.set(ValueLayout.JAVA_BYTE, Segment.PRESENT, (byte) 1);
        segment.set(ValueLayout.JAVA_BYTE, Segment.DPL, (byte) USER_LEVEL);
        segment.set(ValueLayout.JAVA_BYTE, Segment.DB, (byte) (code ? 0 : 1));
        segment.set(ValueLayout.JAVA_BYTE, Segment.S, (byte) 1);
        segment.set(ValueLayout.JAVA_BYTE, Segment.L, (byte) (code ? 1 : 0));
        segment.set(ValueLayout.JAVA_BYTE, Segment.G, (byte) 1);
    }

    /// Sets the program to the fetch of a row.
    private void setRegs() {
        setRegs(stub.fetch());
    }

    private void setRegs(int codeOffset) {
        regs.fill((byte) 0);
        regs.set(ValueLayout.JAVA_LONG, Regs.RIP, memory.codeGpa() + codeOffset);
        regs.set(ValueLayout.JAVA_LONG, Regs.RBX, memory.mailboxAddress());
        regs.set(ValueLayout.JAVA_LONG, Regs.RBP, memory.doorbellAddress());
        regs.set(ValueLayout.JAVA_LONG, Regs.RFLAGS, RFLAGS_FIXED);
        sys.ioctl(fd, KvmVcpuAbi.KVM_SET_REGS, regs.address(), "KVM_SET_REGS");
    }

    public NativeFd fd() {
        return fd;
    }

    /// Stops the program, so that its row is never finished.
    public void park() {
        finishIo();
        setRegs();
        parked = true;
    }

    /// The same, in whatever mode the processor is: gives it all registers of the program.
    public void parkInNewMode() {
        setSregs();
        park();
    }

    /// Lets the next run execute an RSM instruction and then return with `KVM_EXIT_DEBUG`.
    public void startRsm() {
        finishIo();
        setRegs(stub.rsm());
        parked = false;
        setGuestDebug(KvmVcpuAbi.KVM_GUESTDBG_ENABLE | KvmVcpuAbi.KVM_GUESTDBG_SINGLESTEP);
    }

    /// Ends what [#startRsm] began.
    public void endRsm() {
        setGuestDebug(0);
    }

    private void setGuestDebug(int control) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment debug = scratch.allocate(GuestDebug.SIZE, Long.BYTES);
            debug.set(ValueLayout.JAVA_INT, GuestDebug.CONTROL, control);
            sys.ioctl(fd, KvmVcpuAbi.KVM_SET_GUEST_DEBUG, debug.address(), "KVM_SET_GUEST_DEBUG");
        }
    }

    /// Requests a system management interrupt (`KVM_SMI`): the next run begins with it, or, in
    /// system management mode, the first run after it.
    public void requestSmi() {
        sys.ioctl(fd, KvmVcpuAbi.KVM_SMI, 0, "KVM_SMI");
    }

    /// Sets where system management mode saves the state and begins.
    public void setSmbase(long smbase) {
        var _ = smbaseRegister(KvmVcpuAbi.KVM_SET_MSRS, smbase);
    }

    /// Where it is now; the saved state may have moved it.
    public long smbase() {
        return smbaseRegister(KvmVcpuAbi.KVM_GET_MSRS, 0);
    }

    private long smbaseRegister(long request, long value) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment msrs = scratch.allocate(Msrs.ENTRIES + (long) MsrEntry.SIZE, Long.BYTES);
            msrs.set(ValueLayout.JAVA_INT, Msrs.NMSRS, 1);
            msrs.set(ValueLayout.JAVA_INT, Msrs.ENTRIES + MsrEntry.INDEX, MSR_IA32_SMBASE);
            msrs.set(ValueLayout.JAVA_LONG, Msrs.ENTRIES + MsrEntry.DATA, value);
            if (sys.ioctl(fd, request, msrs.address(), "KVM_GET_MSRS or KVM_SET_MSRS") != 1) {
                throw new MdevException(
                        Errno.EINVAL, "the kernel refuses smbase=0x%x".formatted(value));
            }
            return msrs.get(ValueLayout.JAVA_LONG, Msrs.ENTRIES + MsrEntry.DATA);
        }
    }

    /// Whether the processor was in system management mode when the last run returned.
    public boolean isInSmm() {
        return (run.get(ValueLayout.JAVA_SHORT, Run.FLAGS) & KvmVcpuAbi.KVM_RUN_X86_SMM) != 0;
    }

    /// Sets the program's next row, in place of any unfinished one.
    public void start(StubRow next) {
        if (!parked) {
            park();
        }
        GuestStub.Routine routine = stub.routine(next.access(), next.widthBytes());
        memory.setMailbox(GuestStub.ROUTINE, memory.codeGpa() + routine.access());
        memory.setMailbox(GuestStub.ADDRESS, StubMemory.addressOf(next.firstGpa(), next.access()));
        memory.setMailbox(GuestStub.COUNT, next.count());
        memory.setMailbox(GuestStub.STRIDE, next.strideBytes());
        boolean load = next.access() == Access.READ;
        memory.setMailbox(GuestStub.VALUE, next.value());
        memory.setMailbox(GuestStub.STEP, load ? memory.valuesAddress() : next.step());
        row = next;
    }

    /// Makes the GiB around a gpa visible to the program.
    ///
    /// @return false if earlier addresses are not visible any more
    boolean makeVisible(long gpa) {
        return memory.makeVisible(gpa);
    }

    /// Runs the program until the kernel returns (`KVM_RUN`).
    ///
    /// @return 0, or the error number
    public int run() {
        parked = false;
        ioPending = false;
        int result = sys.libc().ioctl(fd.number(), KvmVcpuAbi.KVM_RUN, 0);
        if (result < 0) {
            return sys.libc().errno();
        }
        ioPending = exitReason() == KvmVcpuAbi.KVM_EXIT_MMIO;
        if (ioPending && mmioGpa() == memory.doorbellGpa()) {
            parked = true;
        }
        return 0;
    }

    /// Whether the kernel waits for the outcome of an MMIO access, and continues with it first.
    public boolean isIoPending() {
        return ioPending && !parked;
    }

    /// Whether the program finished its row.
    public boolean isRowFinished() {
        return parked;
    }

    public int exitReason() {
        return run.get(ValueLayout.JAVA_INT, Run.EXIT_REASON);
    }

    public long mmioGpa() {
        return run.get(ValueLayout.JAVA_LONG, Run.MMIO_PHYS_ADDR);
    }

    public int mmioWidthBytes() {
        return run.get(ValueLayout.JAVA_INT, Run.MMIO_LEN);
    }

    public boolean isMmioWrite() {
        return run.get(ValueLayout.JAVA_BYTE, Run.MMIO_IS_WRITE) != 0;
    }

    /// The value of an MMIO store, in the low bytes.
    public long mmioValue() {
        long bytes = run.get(ValueLayout.JAVA_LONG, Run.MMIO_DATA);
        int unused = Long.SIZE - mmioWidthBytes() * Byte.SIZE;
        return unused == 0 ? bytes : bytes << unused >>> unused;
    }

    /// Answers an MMIO load.
    public void setMmioValue(long value) {
        run.set(ValueLayout.JAVA_LONG, Run.MMIO_DATA, value);
    }

    /// The running row.
    public StubRow row() {
        return row;
    }

    /// Asks the kernel for the program's position in its unfinished row.
    public Position position() {
        if (parked) {
            // It has not fetched the row yet.
            return new Position(0, false);
        }
        sys.ioctl(fd, KvmVcpuAbi.KVM_GET_REGS, regs.address(), "KVM_GET_REGS");
        GuestStub.Routine routine = stub.routine(row.access(), row.widthBytes());
        long codeOffset = regs.get(ValueLayout.JAVA_LONG, Regs.RIP) - memory.codeGpa();
        long left = regs.get(ValueLayout.JAVA_LONG, Regs.RCX);
        return new Position(
                stub.done(routine, row.count(), left, codeOffset), codeOffset == routine.access());
    }

    /// A value that the row loaded.
    public long value(long index) {
        return memory.value(index);
    }

    /// Makes the kernel finish an access that left the guest, without running the guest.
    private void finishIo() {
        run.set(ValueLayout.JAVA_BYTE, Run.IMMEDIATE_EXIT, (byte) 1);
        try {
            // One access has at most two fragments, each of which may be an exit.
            for (int fragments = 0; ioPending && fragments <= 2; fragments++) {
                int errno = run();
                if (errno != 0 && errno != Errno.EINTR.code()) {
                    throw Syscalls.failure(errno, "KVM_RUN immediate_exit fd=" + fd);
                }
            }
        } finally {
            run.set(ValueLayout.JAVA_BYTE, Run.IMMEDIATE_EXIT, (byte) 0);
        }
    }

    /// The program's position in its row.
    ///
    /// @param done completed accesses
    /// @param atAccess whether the next instruction is the next access
    public record Position(long done, boolean atAccess) {}

    @Override
    public void close() {
        memory.close();
        arena.close();
        fd.close();
    }
}
