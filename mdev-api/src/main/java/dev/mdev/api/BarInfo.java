package dev.mdev.api;

/// How a BAR presents itself to the guest (PCI Express Base Specification, "Base Address
/// Registers").
///
/// @param width how wide its address is
/// @param prefetchable whether reading it has no side effects, so that a bridge may read ahead and
///   merge writes
public record BarInfo(Width width, boolean prefetchable) {
    /// Plain memory wherever there is room: what most BARs want.
    public static final BarInfo MEMORY = new BarInfo(Width.AUTO, true);

    /// Registers wherever there is room.
    public static final BarInfo REGISTERS = new BarInfo(Width.AUTO, false);

    /// How wide a BAR's address is.
    public enum Width {
        /// 64 bits where the next BAR's register is free to hold the upper half, else 32.
        AUTO,
        /// 32 bits: one register, and at most 2 GiB.
        BITS_32,
        /// 64 bits: this register and the next, whose index no other BAR may have.
        BITS_64
    }
}
