package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongFunction;

/// The room of one parent's backing store. Every device reserves what it could ever write there, so
/// that a device that exists never finds it full: all its pages, because while some come back, the
/// last resident ones may be on their way out.
///
/// Any thread may call all methods.
public final class StoreSpace {
    private final ElasticOptions options;
    private final LongFunction<SlotStore> slots;
    private final AtomicLong reservedBytes = new AtomicLong();

    public StoreSpace(ElasticOptions options) {
        this(
                options,
                options.storeFolder()
                        .<LongFunction<SlotStore>>map(folder -> _ -> new FileSlots(folder))
                        .orElse(MemorySlots::new));
    }

    /// @param slots makes a device's part of the store, for so many pages
    StoreSpace(ElasticOptions options, LongFunction<SlotStore> slots) {
        this.options = options;
        this.slots = slots;
    }

    /// Makes a device's part of the store, and reserves its room.
    ///
    /// @param npages all its pages
    /// @throws MdevException EUSERS if there is not so much room, EIO if the store fails
    StoredPages open(long npages) {
        long bytes = Page.bytesOf(npages);
        reserve(bytes);
        try {
            PageSeal seal = options.encrypted() ? PageSeal.encrypting() : PageSeal.checking();
            return new StoredPages(slots.apply(npages), seal);
        } catch (RuntimeException | Error e) {
            reservedBytes.addAndGet(-bytes);
            throw e;
        }
    }

    /// A request that is refused is never in the way of a smaller one.
    private void reserve(long bytes) {
        while (true) {
            long reserved = reservedBytes.get();
            if (bytes > options.storeMaxBytes() - reserved) {
                throw new MdevException(
                        Errno.EUSERS,
                        "the backing store has no room: needs %d bytes, %d of %d are reserved"
                                .formatted(bytes, reserved, options.storeMaxBytes()));
            }
            if (reservedBytes.compareAndSet(reserved, reserved + bytes)) {
                return;
            }
        }
    }

    /// Ends a device's part. Its room is free, even if this fails.
    ///
    /// @param npages all its pages
    /// @throws MdevException EIO if the store fails
    void close(StoredPages pages, long npages) {
        try {
            pages.close();
        } finally {
            reservedBytes.addAndGet(-Page.bytesOf(npages));
        }
    }

    /// Bytes that devices could write at most.
    public long reservedBytes() {
        return reservedBytes.get();
    }

    /// The most bytes that devices may reserve together.
    public long maxBytes() {
        return options.storeMaxBytes();
    }
}
