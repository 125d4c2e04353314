package dev.mdev.core.engine.kvm.kernel;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.sys.KvmAbi;
import dev.mdev.core.sys.KvmVcpuAbi;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.NativeFd;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// A virtual machine of the kernel: its file descriptor, and the ioctls on it.
///
/// Methods whose name begins with `try` return the error number instead of throwing, for callers
/// that handle a refusal. Any thread may call all methods; the kernel serializes where necessary.
public final class KvmVm implements AutoCloseable {
    public static final String DEVICE = "/dev/kvm";

    /// More leaves of CPUID than any kernel reports.
    private static final int MAX_CPUID_ENTRIES = 256;

    private final Syscalls sys;
    private final NativeFd fd;
    private final int runSizeBytes;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment cpuid;

    private KvmVm(Syscalls sys, NativeFd fd, int runSizeBytes) {
        this.sys = sys;
        this.fd = fd;
        this.runSizeBytes = runSizeBytes;
        this.cpuid =
                arena.allocate(
                        KvmVcpuAbi.Cpuid2.ENTRIES
                                + (long) MAX_CPUID_ENTRIES * KvmVcpuAbi.CpuidEntry2.SIZE,
                        Long.BYTES);
    }

    /// Creates a machine of the default type, with no slots.
    ///
    /// @throws MdevException if KVM is missing or inaccessible
    public static KvmVm create(Syscalls sys) {
        try (NativeFd kvm = sys.open(DEVICE, LinuxAbi.O_RDWR)) {
            int version = sys.ioctl(kvm, KvmAbi.KVM_GET_API_VERSION, 0, "KVM_GET_API_VERSION");
            if (version != KvmAbi.KVM_API_VERSION) {
                throw new MdevException(Errno.EOPNOTSUPP, "KVM_GET_API_VERSION version=" + version);
            }
            int runSize =
                    sys.ioctl(kvm, KvmAbi.KVM_GET_VCPU_MMAP_SIZE, 0, "KVM_GET_VCPU_MMAP_SIZE");
            int number = sys.libc().ioctl(kvm.number(), KvmAbi.KVM_CREATE_VM, 0);
            KvmVm vm = new KvmVm(sys, sys.owned(number, "vm", () -> "KVM_CREATE_VM"), runSize);
            try {
                vm.readCpuid(kvm);
                return vm;
            } catch (RuntimeException | Error e) {
                vm.close();
                throw e;
            }
        }
    }

    private void readCpuid(NativeFd kvm) {
        cpuid.set(ValueLayout.JAVA_INT, KvmVcpuAbi.Cpuid2.NENT, MAX_CPUID_ENTRIES);
        sys.ioctl(kvm, KvmAbi.KVM_GET_SUPPORTED_CPUID, cpuid.address(), "KVM_GET_SUPPORTED_CPUID");
    }

    public Syscalls sys() {
        return sys;
    }

    /// The `struct kvm_cpuid2` of a guest, for `KVM_SET_CPUID2`.
    public MemorySegment supportedCpuid() {
        return cpuid;
    }

    /// Bits of a guest-physical address that guests can use: those that the guest's CPUID tells, or
    /// fewer, where the kernel cannot map all (`GuestPhysAddrSize`).
    public int physicalAddressBits() {
        int leaves = cpuid.get(ValueLayout.JAVA_INT, KvmVcpuAbi.Cpuid2.NENT);
        for (int leaf = 0; leaf < leaves; leaf++) {
            long at = KvmVcpuAbi.Cpuid2.ENTRIES + (long) leaf * KvmVcpuAbi.CpuidEntry2.SIZE;
            if (cpuid.get(ValueLayout.JAVA_INT, at + KvmVcpuAbi.CpuidEntry2.FUNCTION)
                    == 0x8000_0008) {
                int eax = cpuid.get(ValueLayout.JAVA_INT, at + KvmVcpuAbi.CpuidEntry2.EAX);
                int mappable = eax >>> 16 & 0xff;
                return mappable == 0 ? eax & 0xff : Math.min(mappable, eax & 0xff);
            }
        }
        return 36;
    }

    /// This machine's answer for a capability: 0 if it lacks it.
    public int checkExtension(int capability) {
        return sys.ioctl(fd, KvmAbi.KVM_CHECK_EXTENSION, capability, "KVM_CHECK_EXTENSION");
    }

    /// Bytes to map of a virtual processor's file for `struct kvm_run` and its companions.
    public int runSizeBytes() {
        return runSizeBytes;
    }

    /// `KVM_CREATE_VCPU`.
    public NativeFd createVcpu(int vcpuId) {
        int number = sys.libc().ioctl(fd.number(), KvmAbi.KVM_CREATE_VCPU, vcpuId);
        return sys.owned(number, "vcpu" + vcpuId, () -> "KVM_CREATE_VCPU vcpuId=" + vcpuId);
    }

    /// `KVM_SET_USER_MEMORY_REGION`. Waits for virtual processors that are inside a page fault.
    ///
    /// @throws MdevException the kernel's error
    public void setUserMemoryRegion(UserMemoryRegion region) {
        int errno = trySetUserMemoryRegion(region);
        if (errno != 0) {
            throw Syscalls.failure(errno, "KVM_SET_USER_MEMORY_REGION " + region);
        }
    }

    /// Deletes a slot. If the machine is closed, or the kernel has given it up (EIO), it does
    /// nothing: the slots end with the last processor.
    ///
    /// @throws MdevException the kernel's error
    public void deleteSlotUnlessClosed(int slot) {
        try {
            setUserMemoryRegion(UserMemoryRegion.deletionOf(slot));
        } catch (MdevException e) {
            boolean closed = e.errno() == Errno.EBADF && fd.isClosed();
            if (!closed && e.errno() != Errno.EIO) {
                throw e;
            }
        }
    }

    /// @return 0 or the error number
    public int trySetUserMemoryRegion(UserMemoryRegion region) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument =
                    scratch.allocate(KvmAbi.UserspaceMemoryRegion.SIZE, Long.BYTES);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.UserspaceMemoryRegion.SLOT, region.slot());
            argument.set(ValueLayout.JAVA_INT, KvmAbi.UserspaceMemoryRegion.FLAGS, region.flags());
            argument.set(
                    ValueLayout.JAVA_LONG,
                    KvmAbi.UserspaceMemoryRegion.GUEST_PHYS_ADDR,
                    region.gpa());
            argument.set(
                    ValueLayout.JAVA_LONG,
                    KvmAbi.UserspaceMemoryRegion.MEMORY_SIZE,
                    region.sizeBytes());
            argument.set(
                    ValueLayout.JAVA_LONG,
                    KvmAbi.UserspaceMemoryRegion.USERSPACE_ADDR,
                    region.hva());
            return tryIoctl(KvmAbi.KVM_SET_USER_MEMORY_REGION, argument.address());
        }
    }

    /// `KVM_GET_DIRTY_LOG`.
    ///
    /// @param bitmap gets the bits; at least the slot's pages rounded up to 64, in bytes
    /// @return 0 or the error number
    public int tryGetDirtyLog(int slotNumber, MemorySegment bitmap) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = scratch.allocate(KvmAbi.DirtyLog.SIZE, Long.BYTES);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.DirtyLog.SLOT, slotNumber);
            argument.set(ValueLayout.JAVA_LONG, KvmAbi.DirtyLog.DIRTY_BITMAP, bitmap.address());
            return tryIoctl(KvmAbi.KVM_GET_DIRTY_LOG, argument.address());
        }
    }

    /// `KVM_CLEAR_DIRTY_LOG`.
    ///
    /// @param bitmap the bits to clear; bit 0 is `firstPage`
    /// @return 0 or the error number
    public int tryClearDirtyLog(int slotNumber, int npages, long firstPage, MemorySegment bitmap) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = scratch.allocate(KvmAbi.ClearDirtyLog.SIZE, Long.BYTES);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.ClearDirtyLog.SLOT, slotNumber);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.ClearDirtyLog.NUM_PAGES, npages);
            argument.set(ValueLayout.JAVA_LONG, KvmAbi.ClearDirtyLog.FIRST_PAGE, firstPage);
            argument.set(
                    ValueLayout.JAVA_LONG, KvmAbi.ClearDirtyLog.DIRTY_BITMAP, bitmap.address());
            return tryIoctl(KvmAbi.KVM_CLEAR_DIRTY_LOG, argument.address());
        }
    }

    /// `KVM_ENABLE_CAP` with one argument.
    ///
    /// @return 0 or the error number
    public int tryEnableCap(int capability, long value) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = scratch.allocate(KvmAbi.EnableCap.SIZE, Long.BYTES);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.EnableCap.CAP, capability);
            argument.set(ValueLayout.JAVA_LONG, KvmAbi.EnableCap.ARGS, value);
            return tryIoctl(KvmAbi.KVM_ENABLE_CAP, argument.address());
        }
    }

    /// `KVM_IOEVENTFD`: from now on, a store of this width to this address counts in `event`, and
    /// does not leave the guest.
    ///
    /// @return 0 or the error number: ENOSPC if the machine has too many, EEXIST for a second one
    public int tryAssignDoorbell(long gpa, int widthBytes, NativeFd event) {
        return tryDoorbell(gpa, widthBytes, event, 0);
    }

    /// Undoes [#tryAssignDoorbell].
    ///
    /// @return 0 or the error number
    public int tryRemoveDoorbell(long gpa, int widthBytes, NativeFd event) {
        return tryDoorbell(gpa, widthBytes, event, KvmAbi.Ioeventfd.DEASSIGN);
    }

    private int tryDoorbell(long gpa, int widthBytes, NativeFd event, int flags) {
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment argument = scratch.allocate(KvmAbi.Ioeventfd.SIZE, Long.BYTES);
            argument.set(ValueLayout.JAVA_LONG, KvmAbi.Ioeventfd.ADDR, gpa);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.Ioeventfd.LEN, widthBytes);
            argument.set(ValueLayout.JAVA_INT, KvmAbi.Ioeventfd.FD, event.number());
            argument.set(ValueLayout.JAVA_INT, KvmAbi.Ioeventfd.FLAGS, flags);
            return tryIoctl(KvmAbi.KVM_IOEVENTFD, argument.address());
        }
    }

    /// `KVM_RESET_DIRTY_RINGS`.
    ///
    /// @return entries consumed, or the error number as a negative number
    public int tryResetDirtyRings() {
        int result = sys.libc().ioctl(fd.number(), KvmAbi.KVM_RESET_DIRTY_RINGS, 0);
        return result < 0 ? -sys.libc().errno() : result;
    }

    /// Any request of the machine.
    ///
    /// @return 0, or the error number
    public int tryIoctl(long request, long argument) {
        return sys.libc().ioctl(fd.number(), request, argument) < 0 ? sys.libc().errno() : 0;
    }

    @Override
    public void close() {
        fd.close();
        arena.close();
    }
}
