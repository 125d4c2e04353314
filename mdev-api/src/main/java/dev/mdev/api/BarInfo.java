package dev.mdev.api;

/// How a BAR presents itself to the guest (PCI Express Base Specification, "Base Address
/// Registers").
///
/// @param width the width of its address
/// @param prefetchable whether reading it has no side effects, so that a bridge may read ahead and
///   merge writes
public record BarInfo(Width width, boolean prefetchable) {
    /// Plain memory wherever there is room: for most BARs.
    public static final BarInfo MEMORY = new BarInfo(Width.AUTO, true);

    /// Registers wherever there is room.
    public static final BarInfo REGISTERS = new BarInfo(Width.AUTO, false);

    /// The width of a BAR's address.
    public enum Width {
        /// 64 bits if the next BAR's register is free for the upper half, otherwise 32.
        AUTO,
        /// 32 bits: one register, and at most 2 GiB.
        BITS_32,
        /// 64 bits: this register and the next, whose index no other BAR may use.
        BITS_64
    }
}
