package dev.mdev.core.elastic;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/// The pages of one device that are written away. Concurrent calls are for different pages.
final class StoredPages implements AutoCloseable {
    private final SlotStore slots;
    private final PageSeal seal;
    private final Map<Long, PageSeal.Proof> proofs = new ConcurrentHashMap<>();

    StoredPages(SlotStore slots, PageSeal seal) {
        this.slots = slots;
        this.seal = seal;
    }

    boolean has(long page) {
        return proofs.containsKey(page);
    }

    long size() {
        return proofs.size();
    }

    /// @param bytes the page is there from `offset` on
    /// @throws MdevException ENOSPC or EIO; the page is not stored then
    void put(long page, byte[] bytes, int offset) {
        PageSeal.Sealed sealed = seal.seal(page, bytes, offset);
        slots.write(page, sealed.bytes(), 0);
        proofs.put(page, sealed.proof());
    }

    /// @throws MdevException EIO if the content cannot be had
    void get(long page, byte[] bytes, int offset) {
        PageSeal.Proof proof = proofs.get(page);
        if (proof == null) {
            throw new MdevException(Errno.EIO, "not in the backing store: page=" + page);
        }
        byte[] sealed = new byte[Page.SIZE];
        slots.read(page, sealed, 0);
        System.arraycopy(seal.open(page, sealed, proof), 0, bytes, offset, Page.SIZE);
    }

    void drop(long page) {
        if (proofs.remove(page) != null) {
            slots.drop(page);
        }
    }

    @Override
    public void close() {
        proofs.clear();
        slots.close();
    }
}
