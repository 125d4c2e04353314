package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;

import java.lang.foreign.MemorySegment;

/// The guest of an idle device: no memory, and no receiver of interrupts.
public final class NoGuest implements GuestMemory, Interrupts {
    public static final NoGuest INSTANCE = new NoGuest();

    private NoGuest() {}

    @Override
    public void read(long iova, MemorySegment destination) {
        throw notAssigned(iova);
    }

    @Override
    public void write(long iova, MemorySegment source) {
        throw notAssigned(iova);
    }

    @Override
    public Pin pin(long iova, long npages, Access access) {
        throw notAssigned(iova);
    }

    @Override
    public WriteWatch watchWrites(long iova, long npages) {
        throw notAssigned(iova);
    }

    private static MdevException notAssigned(long iova) {
        return new MdevException(
                Errno.ENODEV, "the device is not assigned: iova=0x%x".formatted(iova));
    }

    @Override
    public boolean isEnabled(Kind kind) {
        return false;
    }

    @Override
    public void trigger(int vector) {}

    @Override
    public void setLine(boolean asserted) {}
}
