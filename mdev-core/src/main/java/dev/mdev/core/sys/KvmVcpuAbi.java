package dev.mdev.core.sys;

/// `linux/kvm.h` and `asm/kvm.h`: virtual processors (x86-64).
public final class KvmVcpuAbi {
    private static final int KVMIO = KvmAbi.KVMIO;

    public static final long KVM_RUN = Ioctl.io(KVMIO, 0x80);
    public static final long KVM_GET_REGS = Ioctl.ior(KVMIO, 0x81, Regs.SIZE);
    public static final long KVM_SET_REGS = Ioctl.iow(KVMIO, 0x82, Regs.SIZE);
    public static final long KVM_GET_SREGS = Ioctl.ior(KVMIO, 0x83, Sregs.SIZE);
    public static final long KVM_SET_SREGS = Ioctl.iow(KVMIO, 0x84, Sregs.SIZE);
    public static final long KVM_GET_MSRS = Ioctl.iowr(KVMIO, 0x88, Msrs.ENTRIES);
    public static final long KVM_SET_MSRS = Ioctl.iow(KVMIO, 0x89, Msrs.ENTRIES);
    public static final long KVM_SET_SIGNAL_MASK = Ioctl.iow(KVMIO, 0x8B, SignalMask.SIGSET);
    public static final long KVM_SET_CPUID2 = Ioctl.iow(KVMIO, 0x90, Cpuid2.ENTRIES);

    public static final long KVM_SET_GUEST_DEBUG = Ioctl.iow(KVMIO, 0x9B, GuestDebug.SIZE);
    public static final long KVM_SMI = Ioctl.io(KVMIO, 0xB7);

    public static final int KVM_EXIT_DEBUG = 4;
    public static final int KVM_EXIT_MMIO = 6;
    public static final int KVM_EXIT_SHUTDOWN = 8;
    public static final int KVM_EXIT_DIRTY_RING_FULL = 31;

    /// A bit of [Run#FLAGS]: the processor is in system management mode.
    public static final int KVM_RUN_X86_SMM = 1;

    public static final int KVM_GUESTDBG_ENABLE = 1;
    public static final int KVM_GUESTDBG_SINGLESTEP = 2;

    private KvmVcpuAbi() {}

    /// `struct kvm_run`, the fields that are used here.
    public static final class Run {
        public static final int IMMEDIATE_EXIT = 1;
        public static final int EXIT_REASON = 8;
        public static final int FLAGS = 14;
        public static final int MMIO_PHYS_ADDR = 32;
        public static final int MMIO_DATA = 40;
        public static final int MMIO_LEN = 48;
        public static final int MMIO_IS_WRITE = 52;

        private Run() {}
    }

    /// `struct kvm_regs`.
    public static final class Regs {
        public static final int SIZE = 144;
        public static final int RBX = 8;
        public static final int RCX = 16;
        public static final int RBP = 56;
        public static final int RIP = 128;
        public static final int RFLAGS = 136;

        private Regs() {}
    }

    /// `struct kvm_sregs`.
    public static final class Sregs {
        public static final int SIZE = 312;
        public static final int CS = 0;
        public static final int DS = 24;
        public static final int ES = 48;
        public static final int FS = 72;
        public static final int GS = 96;
        public static final int SS = 120;
        public static final int CR0 = 224;
        public static final int CR3 = 240;
        public static final int CR4 = 248;
        public static final int EFER = 264;

        private Sregs() {}
    }

    /// `struct kvm_segment`.
    public static final class Segment {
        public static final int SIZE = 24;
        public static final int BASE = 0;
        public static final int LIMIT = 8;
        public static final int SELECTOR = 12;
        public static final int TYPE = 14;
        public static final int PRESENT = 15;
        public static final int DPL = 16;
        public static final int DB = 17;
        public static final int S = 18;
        public static final int L = 19;
        public static final int G = 20;

        private Segment() {}
    }

    /// `struct kvm_signal_mask`: its size, then the kernel's `sigset_t`.
    public static final class SignalMask {
        public static final int LEN = 0;
        public static final int SIGSET = 4;

        /// Bytes of the kernel's `sigset_t`.
        public static final int KERNEL_SIGSET_SIZE = 8;

        private SignalMask() {}
    }

    /// `struct kvm_guest_debug`.
    public static final class GuestDebug {
        public static final int SIZE = 72;
        public static final int CONTROL = 0;

        private GuestDebug() {}
    }

    /// `struct kvm_msrs`: a count, then the entries.
    public static final class Msrs {
        public static final int NMSRS = 0;
        public static final int ENTRIES = 8;

        private Msrs() {}
    }

    /// `struct kvm_msr_entry`.
    public static final class MsrEntry {
        public static final int SIZE = 16;
        public static final int INDEX = 0;
        public static final int DATA = 8;

        private MsrEntry() {}
    }

    /// `struct kvm_cpuid2`: a count, then the entries.
    public static final class Cpuid2 {
        public static final int NENT = 0;
        public static final int ENTRIES = 8;

        private Cpuid2() {}
    }

    /// `struct kvm_cpuid_entry2`.
    public static final class CpuidEntry2 {
        public static final int SIZE = 40;
        public static final int FUNCTION = 0;
        public static final int EAX = 12;

        private CpuidEntry2() {}
    }
}
