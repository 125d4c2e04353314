package dev.mdev.vfiouser;

import dev.mdev.api.page.Access;
import dev.mdev.core.dma.DmaMemory;
import dev.mdev.core.sys.Libc;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Copies to and from memory that is not mapped into this process: through calls on files, and
/// through messages.
final class UnmappedMemory implements ClientReach {
    private static final long CHUNK_BYTES = 1 << 16;
    private static final String TAKEN = "taken away";

    private final Libc libc;
    private final DmaMessages messages;

    UnmappedMemory(Syscalls sys, DmaMessages messages) {
        this.libc = sys.libc();
        this.messages = messages;
    }

    @Override
    public DmaMemory.Copied file(DmaMap.Reach.File file, Piece piece, Held held) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = piece.buffer();
            MemorySegment chunk = arena.allocate(Math.min(CHUNK_BYTES, buffer.byteSize()));
            long[] moved = new long[1];
            long done = 0;
            while (done < buffer.byteSize()) {
                long at = file.offsetBytes() + piece.mapOffsetBytes() + done;
                long length = Math.min(CHUNK_BYTES, buffer.byteSize() - done);
                MemorySegment part = buffer.asSlice(done, length);
                if (!held.run(() -> moved[0] = call(file, piece.access(), chunk, part, at))) {
                    return new DmaMemory.Copied(done, TAKEN);
                }
                if (moved[0] <= 0) {
                    return new DmaMemory.Copied(done, "the file has become shorter, or fails");
                }
                done += moved[0];
            }
            return new DmaMemory.Copied(done, "");
        }
    }

    private long call(
            DmaMap.Reach.File file,
            Access access,
            MemorySegment chunk,
            MemorySegment part,
            long at) {
        if (access == Access.READ) {
            long count = libc.pread(file.fd().number(), chunk.address(), part.byteSize(), at);
            if (count > 0) {
                MemorySegment.copy(chunk, 0, part, 0, count);
            }
            return count;
        }
        MemorySegment.copy(part, 0, chunk, 0, part.byteSize());
        return libc.pwrite(file.fd().number(), chunk.address(), part.byteSize(), at);
    }

    @Override
    public DmaMemory.Copied messages(Piece piece, Held held) {
        MemorySegment buffer = piece.buffer();
        long done = 0;
        while (done < buffer.byteSize()) {
            long length = Math.min(messages.maxBytes(), buffer.byteSize() - done);
            MemorySegment part = buffer.asSlice(done, length);
            String why = messages.transfer(piece.iova() + done, part, piece.access(), held);
            if (!why.isEmpty()) {
                return new DmaMemory.Copied(done, why);
            }
            done += length;
        }
        return new DmaMemory.Copied(done, "");
    }
}
