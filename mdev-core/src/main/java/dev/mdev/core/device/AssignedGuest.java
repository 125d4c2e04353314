package dev.mdev.core.device;

import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.page.Access;
import dev.mdev.core.pci.GuestPort;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;

/// The guest as a device's driver sees it, the same object over all assignments: forwards to the
/// current holder.
final class AssignedGuest implements GuestMemory, Interrupts {
    private volatile @Nullable GuestPort port;

    void connect(@Nullable GuestPort next) {
        port = next;
    }

    @Nullable GuestPort port() {
        return port;
    }

    private GuestMemory memory() {
        GuestPort now = port;
        return now == null ? NoGuest.INSTANCE : now.memory();
    }

    private Interrupts interrupts() {
        GuestPort now = port;
        return now == null ? NoGuest.INSTANCE : now.interrupts();
    }

    @Override
    public void read(long iova, MemorySegment destination) {
        memory().read(iova, destination);
    }

    @Override
    public void write(long iova, MemorySegment source) {
        memory().write(iova, source);
    }

    @Override
    public Pin pin(long iova, long npages, Access access) {
        return memory().pin(iova, npages, access);
    }

    @Override
    public WriteWatch watchWrites(long iova, long npages) {
        return memory().watchWrites(iova, npages);
    }

    /// Belongs to the current holder, and finds the next one at its next use.
    @Override
    public Window window(long iova, long lengthBytes) {
        return new FollowingWindow(iova, lengthBytes);
    }

    private final class FollowingWindow implements Window {
        private final long iova;
        private final long lengthBytes;
        private volatile Aimed aimed;

        /// @param memory whose window it is
        private record Aimed(GuestMemory memory, Window window) {}

        FollowingWindow(long iova, long lengthBytes) {
            this.iova = iova;
            this.lengthBytes = lengthBytes;
            aimed = aim(memory());
        }

        private Aimed aim(GuestMemory at) {
            return new Aimed(at, at.window(iova, lengthBytes));
        }

        @SuppressWarnings("ReferenceEquality") // the memory of one assignment is one object
        private Window current() {
            GuestMemory now = memory();
            Aimed last = aimed;
            if (last.memory != now) {
                last = aim(now);
                aimed = last;
            }
            return last.window;
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            current().read(offsetBytes, destination);
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            current().write(offsetBytes, source);
        }
    }

    @Override
    public boolean isEnabled(Kind kind) {
        return interrupts().isEnabled(kind);
    }

    @Override
    public void trigger(int vector) {
        interrupts().trigger(vector);
    }

    @Override
    public void setLine(boolean asserted) {
        interrupts().setLine(asserted);
    }
}
