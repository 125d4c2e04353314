package dev.mdev.gpu;

/// Why a queue stopped; the guest reads the ordinal in the ERROR register.
enum QueueError {
    /// It has not stopped.
    NONE,
    /// There is no such command.
    BAD_OPCODE,
    /// A command reaches outside VRAM, or has overlapping or empty rows.
    BAD_RANGE,
    /// A flag or a reserved byte without a meaning is set.
    BAD_FIELD,
    /// An address has no guest memory, or the device has no bus mastering.
    DMA_FAULT,
    /// The tail is more than the ring's size ahead of the head.
    BAD_TAIL,
    /// The queue was enabled with a ring whose size is not a power of two from 2 to 65536, or that
    /// is not aligned to 64 bytes.
    BAD_RING,
    /// A failure that the guest did not cause, such as of the device's own pages.
    INTERNAL
}
