package dev.mdev.api;

import java.lang.foreign.MemorySegment;
import java.util.Objects;

/// A range of guest memory that is looked up at each access.
record GuestWindow(GuestMemory memory, long iova, long lengthBytes) implements GuestMemory.Window {
    GuestWindow {
        if (lengthBytes < 1) {
            throw new MdevException(
                    Errno.EINVAL, "iova=0x%x lengthBytes=%d".formatted(iova, lengthBytes));
        }
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        Objects.checkFromIndexSize(offsetBytes, destination.byteSize(), lengthBytes);
        memory.read(iova + offsetBytes, destination);
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        Objects.checkFromIndexSize(offsetBytes, source.byteSize(), lengthBytes);
        memory.write(iova + offsetBytes, source);
    }
}
