package dev.mdev.core.elastic;

/// Where a device's written-away pages are, each in the slot of its number. Concurrent calls are
/// for different pages.
interface SlotStore extends AutoCloseable {
    /// @param bytes one page, from `offset` on
    /// @throws dev.mdev.api.MdevException ENOSPC or EIO
    void write(long page, byte[] bytes, int offset);

    /// @throws dev.mdev.api.MdevException EIO
    void read(long page, byte[] bytes, int offset);

    /// Forgets a page that was written.
    void drop(long page);

    @Override
    void close();
}
