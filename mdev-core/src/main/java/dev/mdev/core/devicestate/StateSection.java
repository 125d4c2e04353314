package dev.mdev.core.devicestate;

/// One part of a state, after the header. The reader owns the bytes.
@SuppressWarnings("ArrayRecordComponent") // content is handed over, not compared
public sealed interface StateSection {
    /// Content of neighbouring pages.
    ///
    /// @param pool index of the pool in the header
    /// @param firstPage the first page, counted in the device's share of the pool
    /// @param content of one or more whole pages, all inside the pool
    record Pages(int pool, long firstPage, byte[] content) implements StateSection {}

    /// Bytes that the driver wrote: all of them, or a part.
    record Driver(byte[] content) implements StateSection {}

    /// The end: the whole state was read.
    record End() implements StateSection {}
}
