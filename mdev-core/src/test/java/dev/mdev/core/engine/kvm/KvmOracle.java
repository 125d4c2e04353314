package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.dirty.DirtyLogClear;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.engine.kvm.mm.FileMapping;
import dev.mdev.core.engine.kvm.stub.GuestStub;
import dev.mdev.core.engine.kvm.stub.RowPlanner;
import dev.mdev.core.engine.kvm.stub.StubMemory;
import dev.mdev.core.engine.kvm.stub.StubRow;
import dev.mdev.core.engine.kvm.stub.StubVcpu;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SlotConfig;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.MmuRules.Paging;
import dev.mdev.core.sync.GuestHold;
import dev.mdev.core.sys.KvmAbi;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Assumptions;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// The kernel itself, called as a VMM calls it: our model must give the same answers. Error numbers
/// are values here, 0 for success.
final class KvmOracle implements AutoCloseable {
    private static final int MAX_EXITS = 64;
    private static final int KVM_CAP_DISABLE_QUIRKS2 = 213;
    private static final int KVM_X86_QUIRK_SLOT_ZAP_ALL = 1 << 7;
    private static final long KVM_SET_TSS_ADDR = 0xAE47;
    private static final long KVM_SET_IDENTITY_MAP_ADDR = 0x4008_AE48L;
    private static final long KVM_SET_MSRS = 0x4008_AE89L;
    private static final int MSR_KVM_WALL_CLOCK_NEW = 0x4b56_4d00;

    private static @Nullable SlotConfig probed;

    private final KvmVm vm = KvmVm.create(Syscalls.ofThisProcess());
    private final FileMapping memory;

    /// Where the kernel sees guest memory: after it, nothing is mapped for twice its size.
    private final long hva;

    /// The same memory, where the kernel must not write it.
    private final long readonlyHva;

    private final long reservedBytes;
    private final SlotConfig config;
    private final RowPlanner planner;
    private final StubVcpu vcpu;
    private final int ringBytes;
    private final VcpuThread thread;
    private final KvmSmm smm;

    /// @param npages guest memory that slots can show
    /// @param ringBytes enables dirty rings of this size; 0 for none
    /// @param hasSmm whether its processor goes into system management mode
    KvmOracle(long npages, int ringBytes, boolean hasSmm) {
        Syscalls sys = vm.sys();
        memory =
                FileMapping.of(
                        sys, sys.memfd("oracle", Page.bytesOf(npages)), Page.bytesOf(npages));
        reservedBytes = 3 * Page.bytesOf(npages);
        hva = mapBeforeAGap(sys, Page.bytesOf(npages), LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE);
        readonlyHva = mapBeforeAGap(sys, Page.bytesOf(npages), LinuxAbi.PROT_READ);
        config = known(this::probeConfig);
        this.ringBytes = ringBytes;
        if (ringBytes != 0 && enableCap(KvmAbi.KVM_CAP_DIRTY_LOG_RING, ringBytes) != 0) {
            Assumptions.abort("rings of this size are refused: page modification logging?");
        }
        vcpu = new StubVcpu(vm, new GuestStub(), 0, hasSmm ? 2 : 1);
        thread = new VcpuThread(sys.libc(), new GuestHold());
        smm =
                new KvmSmm(
                        vcpu,
                        thread,
                        new VcpuMemslots(new AddressSpaces(SlotConfig.x86()), 0),
                        () -> false);
        if (hasSmm) {
            thread.bind(vcpu.fd());
        }
        planner = new RowPlanner(vcpu, StubMemory.limitGpa(vm));
    }

    private long mapBeforeAGap(Syscalls sys, long sizeBytes, int prot) {
        long start =
                sys.mmap(
                        new Syscalls.Placement(
                                0, reservedBytes, LinuxAbi.PROT_NONE, LinuxAbi.MAP_PRIVATE));
        return sys.mmap(
                new Syscalls.Placement(
                        start, sizeBytes, prot, LinuxAbi.MAP_SHARED | LinuxAbi.MAP_FIXED),
                memory.file(),
                0);
    }

    /// Which of its MMUs this kernel uses.
    static Paging paging() {
        return Stream.of("kvm_amd/parameters/npt", "kvm_intel/parameters/ept")
                        .map(Path.of("/sys/module")::resolve)
                        .filter(Files::exists)
                        .anyMatch(KvmOracle::isOn)
                ? Paging.TWO_DIMENSIONAL
                : Paging.SHADOW;
    }

    private static boolean isOn(Path parameter) {
        try {
            return Files.readString(parameter).strip().matches("Y|1");
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /// Lets the deletion of a slot keep the mappings of others.
    ///
    /// @return whether this kernel can
    boolean disableZapAll() {
        return (vm.checkExtension(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_SLOT_ZAP_ALL) != 0
                && enableCap(KVM_CAP_DISABLE_QUIRKS2, KVM_X86_QUIRK_SLOT_ZAP_ALL) == 0;
    }

    /// All machines of a kernel have the same.
    private static synchronized SlotConfig known(Supplier<SlotConfig> probe) {
        SlotConfig known = probed;
        if (known == null) {
            known = probe.get();
            probed = known;
        }
        return known;
    }

    /// Finds out by trying what no capability tells.
    private SlotConfig probeConfig() {
        int addressSpaces = Math.max(1, vm.checkExtension(KvmAbi.KVM_CAP_MULTI_ADDRESS_SPACE));
        int bits = 52;
        while (!accepts(1L << (bits - 1), hva)) {
            bits--;
        }
        long hvaLimit = accepts(0, 1L << 47) ? (1L << 56) - Page.SIZE : (1L << 47) - Page.SIZE;
        return new SlotConfig(addressSpaces, (1L << (bits - Page.SHIFT)) - 1, hvaLimit, false);
    }

    private boolean accepts(long gpa, long hva) {
        UserMemoryRegion region = new UserMemoryRegion(7, 0, gpa, Page.SIZE, hva);
        return set(region) == 0 && set(UserMemoryRegion.deletionOf(7)) == 0;
    }

    /// What this kernel fixes about slots.
    SlotConfig config() {
        return config;
    }

    /// The address of guest memory.
    long hva() {
        return hva;
    }

    long readonlyHva() {
        return readonlyHva;
    }

    MemorySegment memory() {
        return memory.segment();
    }

    int set(UserMemoryRegion region) {
        return vm.trySetUserMemoryRegion(region);
    }

    int getDirtyLog(int slotNumber, MemorySegment bitmap) {
        return vm.tryGetDirtyLog(slotNumber, bitmap);
    }

    int clearDirtyLog(DirtyLogClear part, MemorySegment named) {
        return vm.tryClearDirtyLog(part.slot(), part.npages(), part.firstIndex(), named);
    }

    int enableCap(int capability, long value) {
        return vm.tryEnableCap(capability, value);
    }

    /// As [#enableCap], with flags, and for any machine.
    static int enableCap(KvmVm vm, int capability, int flags, long value) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = scratch.allocate(KvmAbi.EnableCap.SIZE, Long.BYTES);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.EnableCap.CAP, capability);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.EnableCap.FLAGS, flags);
            argument.set(ValueLayout.JAVA_LONG, KvmAbi.EnableCap.ARGS, value);
            return vm.tryIoctl(KvmAbi.KVM_ENABLE_CAP, argument.address());
        }
    }

    int enableCap(int capability, int flags, long value) {
        return enableCap(vm, capability, flags, value);
    }

    static int setTssAddress(KvmVm vm, long gpa) {
        return vm.tryIoctl(KVM_SET_TSS_ADDR, gpa);
    }

    static int setIdentityMapAddress(KvmVm vm, long gpa) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = scratch.allocate(ValueLayout.JAVA_LONG);
            argument.set(ValueLayout.JAVA_LONG, 0, gpa);
            return vm.tryIoctl(KVM_SET_IDENTITY_MAP_ADDR, argument.address());
        }
    }

    /// Lets the kernel itself write 4, 12 and 4 bytes of guest memory, by its accessors: a wall
    /// clock and its version, before and after.
    void writeWallClock(long gpa) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment msrs = scratch.allocate(24, Long.BYTES);
            msrs.set(ValueLayout.JAVA_INT, 0, 1);
            msrs.set(ValueLayout.JAVA_INT, 8, MSR_KVM_WALL_CLOCK_NEW);
            msrs.set(ValueLayout.JAVA_LONG, 16, gpa);
            int done = vm.sys().ioctl(vcpu.fd(), KVM_SET_MSRS, msrs.address(), "KVM_SET_MSRS");
            Assumptions.assumeTrue(done == 1, "this kernel has no wall clock");
        }
    }

    /// @return entries, or the error number as a negative number
    int resetDirtyRings() {
        return vm.tryResetDirtyRings();
    }

    /// The processor's ring, as the kernel shares it.
    MemorySegment ring() {
        return vcpu.mapDirtyRing(ringBytes);
    }

    /// The processor's way into and out of system management mode.
    KvmSmm smm() {
        return smm;
    }

    /// Where it saves its state.
    long smbase() {
        return vcpu.smbase();
    }

    /// Runs one guest access to its end. Loads without memory get zeroes.
    ///
    /// @param loaded gets the value of a load that came to an end
    /// @return every exit on the way, and at the end `done`, `ring full` or an error number
    List<String> access(Access access, long gpa, int widthBytes, long value, List<Long> loaded) {
        StubRow row = new StubRow(access, gpa, widthBytes, 1, 0, value, 0);
        try {
            planner.makeVisible(row);
            vcpu.start(row);
        } catch (MdevException e) {
            // The machine is dead.
            return List.of(e.errno().name());
        }
        List<String> exits = new ArrayList<>();
        while (exits.size() < MAX_EXITS) {
            int errno = vcpu.run();
            if (errno != 0) {
                exits.add(Errno.of(errno).map(Errno::name).orElse("errno " + errno));
                return exits;
            }
            switch (vcpu.exitReason()) {
                case KvmVcpuAbi.KVM_EXIT_MMIO -> {
                    if (vcpu.isRowFinished()) {
                        if (access == Access.READ) {
                            loaded.add(vcpu.value(0));
                        }
                        exits.add("done");
                        return exits;
                    }
                    exits.add(mmioExit());
                    vcpu.setMmioValue(0);
                }
                case KvmVcpuAbi.KVM_EXIT_DIRTY_RING_FULL -> {
                    exits.add("ring full");
                    return exits;
                }
                default -> throw new AssertionError("exitReason=" + vcpu.exitReason());
            }
        }
        throw new AssertionError("an access that does not end: " + exits);
    }

    private String mmioExit() {
        return vcpu.isMmioWrite()
                ? "store 0x%x/%d=0x%x"
                        .formatted(vcpu.mmioGpa(), vcpu.mmioWidthBytes(), vcpu.mmioValue())
                : "load 0x%x/%d".formatted(vcpu.mmioGpa(), vcpu.mmioWidthBytes());
    }

    /// The words of a bitmap.
    static List<String> words(MemorySegment bitmap) {
        List<String> words = new ArrayList<>();
        for (long at = 0; at < bitmap.byteSize(); at += Long.BYTES) {
            words.add("%016x".formatted(bitmap.get(ValueLayout.JAVA_LONG, at)));
        }
        return words;
    }

    @Override
    public void close() {
        thread.close();
        vcpu.close();
        vm.sys().munmap(hva, reservedBytes);
        vm.sys().munmap(readonlyHva, reservedBytes);
        vm.close();
        memory.release();
    }
}
