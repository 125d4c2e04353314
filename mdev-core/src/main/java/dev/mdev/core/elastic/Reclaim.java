package dev.mdev.core.elastic;

import dev.mdev.api.MdevException;

import java.util.concurrent.atomic.AtomicBoolean;

/// Makes room in a pool for a device that is to be created. Until this is closed, no device gets
/// free frames above its minimum, so what was made free stays free for the new one. One thread.
public final class Reclaim implements AutoCloseable {
    private final PoolState pool;
    private final RoomMaker rooms;
    private final Patience patience;
    private final AtomicBoolean closed = new AtomicBoolean();

    Reclaim(PoolState pool, RoomMaker rooms) {
        this.pool = pool;
        this.rooms = rooms;
        this.patience =
                new Patience("pool=" + pool.parts.name(), pool.parts.deadline().toNanos(), null);
        count(1);
    }

    private void count(int difference) {
        pool.lock.lock();
        try {
            pool.reclaims += difference;
            pool.changed.signalAll();
        } finally {
            pool.lock.unlock();
        }
    }

    /// Takes frames above their minimum from the devices, and makes them free.
    ///
    /// @param npages how many pages are wanted
    /// @return pages that became free; fewer if no device has more above its minimum
    /// @throws MdevException ETIMEDOUT if all requests of this together take longer than the
    ///   deadline of a callback, and the devices that gave nothing; ENOSPC or EIO if the backing
    ///   store fails; ECANCELED or EINTR if the work of this thread must end
    public long makeFree(long npages) {
        return rooms.makeFree(npages, patience);
    }

    /// Lets devices have free frames again. Closing again does nothing.
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            count(-1);
        }
    }
}
