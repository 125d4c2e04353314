package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;

/// The room of one parent's backing store. Every device reserves what it could ever write there, so
/// that a device that exists never finds it full.
///
/// Any thread may call all methods.
public final class StoreSpace {
    private final ElasticOptions options;
    private final Supplier<SlotStore> slots;
    private final AtomicLong reservedBytes = new AtomicLong();

    public StoreSpace(ElasticOptions options) {
        this(
                options,
                options.storeFolder()
                        .<Supplier<SlotStore>>map(folder -> () -> new FileSlots(folder))
                        .orElse(MemorySlots::new));
    }

    /// @param slots makes a device's part of the store
    StoreSpace(ElasticOptions options, Supplier<SlotStore> slots) {
        this.options = options;
        this.slots = slots;
    }

    /// @throws MdevException EUSERS if there is not so much room
    void reserve(long bytes) {
        long now = reservedBytes.addAndGet(bytes);
        if (now > options.storeMaxBytes()) {
            release(bytes);
            throw new MdevException(
                    Errno.EUSERS,
                    "the backing store has no room: needs %d bytes, %d of %d are reserved"
                            .formatted(bytes, now - bytes, options.storeMaxBytes()));
        }
    }

    void release(long bytes) {
        reservedBytes.addAndGet(-bytes);
    }

    /// @throws MdevException EIO if the store fails
    StoredPages open() {
        return new StoredPages(
                slots.get(), options.encrypted() ? PageSeal.encrypting() : PageSeal.checking());
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
