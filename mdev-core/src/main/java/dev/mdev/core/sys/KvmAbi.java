package dev.mdev.core.sys;

/// `linux/kvm.h`: the machine side, that is system and VM ioctls, memory slots and dirty logs.
///
/// Virtual processors are in [KvmVcpuAbi].
public final class KvmAbi {
    static final int KVMIO = 0xAE;

    /// The permanent result of `KVM_GET_API_VERSION`.
    public static final int KVM_API_VERSION = 12;

    // On /dev/kvm.
    public static final long KVM_GET_API_VERSION = Ioctl.io(KVMIO, 0x00);
    public static final long KVM_CREATE_VM = Ioctl.io(KVMIO, 0x01);
    public static final long KVM_CHECK_EXTENSION = Ioctl.io(KVMIO, 0x03);
    public static final long KVM_GET_VCPU_MMAP_SIZE = Ioctl.io(KVMIO, 0x04);
    public static final long KVM_GET_SUPPORTED_CPUID =
            Ioctl.iowr(KVMIO, 0x05, KvmVcpuAbi.Cpuid2.ENTRIES);

    // On a machine.
    public static final long KVM_CREATE_VCPU = Ioctl.io(KVMIO, 0x41);
    public static final long KVM_GET_DIRTY_LOG = Ioctl.iow(KVMIO, 0x42, DirtyLog.SIZE);
    public static final long KVM_SET_USER_MEMORY_REGION =
            Ioctl.iow(KVMIO, 0x46, UserspaceMemoryRegion.SIZE);
    public static final long KVM_IOEVENTFD = Ioctl.iow(KVMIO, 0x79, Ioeventfd.SIZE);
    public static final long KVM_ENABLE_CAP = Ioctl.iow(KVMIO, 0xA3, EnableCap.SIZE);
    public static final long KVM_CLEAR_DIRTY_LOG = Ioctl.iowr(KVMIO, 0xC0, ClearDirtyLog.SIZE);
    public static final long KVM_RESET_DIRTY_RINGS = Ioctl.io(KVMIO, 0xC7);

    public static final int KVM_CAP_USER_MEMORY = 3;
    public static final int KVM_CAP_NR_MEMSLOTS = 10;
    public static final int KVM_CAP_SYNC_MMU = 16;
    public static final int KVM_CAP_READONLY_MEM = 81;
    public static final int KVM_CAP_X86_SMM = 117;
    public static final int KVM_CAP_MULTI_ADDRESS_SPACE = 118;
    public static final int KVM_CAP_IMMEDIATE_EXIT = 136;
    public static final int KVM_CAP_DIRTY_LOG_RING = 192;

    /// The position of the dirty ring in the file of a virtual processor, in pages.
    public static final int KVM_DIRTY_LOG_PAGE_OFFSET = 64;

    private KvmAbi() {}

    /// `struct kvm_userspace_memory_region`.
    public static final class UserspaceMemoryRegion {
        public static final int SIZE = 32;
        public static final int SLOT = 0;
        public static final int FLAGS = 4;
        public static final int GUEST_PHYS_ADDR = 8;
        public static final int MEMORY_SIZE = 16;
        public static final int USERSPACE_ADDR = 24;

        private UserspaceMemoryRegion() {}
    }

    /// `struct kvm_dirty_log`.
    public static final class DirtyLog {
        public static final int SIZE = 16;
        public static final int SLOT = 0;
        public static final int DIRTY_BITMAP = 8;

        private DirtyLog() {}
    }

    /// `struct kvm_clear_dirty_log`.
    public static final class ClearDirtyLog {
        public static final int SIZE = 24;
        public static final int SLOT = 0;
        public static final int NUM_PAGES = 4;
        public static final int FIRST_PAGE = 8;
        public static final int DIRTY_BITMAP = 16;

        private ClearDirtyLog() {}
    }

    /// `struct kvm_ioeventfd`.
    public static final class Ioeventfd {
        public static final int SIZE = 64;
        public static final int ADDR = 8;
        public static final int LEN = 16;
        public static final int FD = 20;
        public static final int FLAGS = 24;

        /// `KVM_IOEVENTFD_FLAG_DEASSIGN`.
        public static final int DEASSIGN = 1 << 2;

        private Ioeventfd() {}
    }

    /// `struct kvm_enable_cap`.
    public static final class EnableCap {
        public static final int SIZE = 104;
        public static final int CAP = 0;
        public static final int FLAGS = 4;
        public static final int ARGS = 8;

        private EnableCap() {}
    }
}
