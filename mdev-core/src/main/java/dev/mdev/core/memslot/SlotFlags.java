package dev.mdev.core.memslot;

/// The bits of a slot's flags (Linux `KVM_MEM_*`).
public final class SlotFlags {
    /// Writes to the slot are recorded.
    public static final int LOG_DIRTY_PAGES = 1;

    /// The guest reads memory, and its writes leave the machine as MMIO.
    public static final int READONLY = 1 << 1;

    /// Only a vCPU in system management mode sees the slot. Legal only in a machine with
    /// [SlotConfig#smramFlag]: a design that was proposed before address spaces existed, and never
    /// shipped in a kernel.
    public static final int SMRAM = 1 << 24;

    /// The slot is being deleted or moved; never legal in a request.
    static final int INVALID = 1 << 16;

    private SlotFlags() {}
}
