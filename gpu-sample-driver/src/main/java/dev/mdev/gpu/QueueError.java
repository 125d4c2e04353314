package dev.mdev.gpu;

/// Why a queue stopped; what the guest reads in the ERROR register is the ordinal.
enum QueueError {
    /// It did not.
    NONE,
    /// There is no such command.
    BAD_OPCODE,
    /// A command reaches outside VRAM, or has rows that overlap or are none.
    BAD_RANGE,
    /// A flag or a reserved byte is set that has no meaning.
    BAD_FIELD,
    /// There is no guest memory at an address, or the device may not master the bus.
    DMA_FAULT,
    /// The tail is more than the ring's size ahead of the head.
    BAD_TAIL,
    /// The queue was enabled with a ring whose size is not a power of two from 2 to 65536, or that
    /// is not aligned to 64 bytes.
    BAD_RING,
    /// Something failed that is no fault of the guest's, such as the device's own pages.
    INTERNAL
}
