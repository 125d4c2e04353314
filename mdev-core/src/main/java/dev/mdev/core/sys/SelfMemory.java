package dev.mdev.core.sys;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Copies from and to mappings of this process whose memory may vanish. The kernel copies, by
/// `/proc/self/mem`: where a load or store would be a SIGBUS, the copy is EIO.
///
/// A mapped BAR of a PCI function is copied by the kernel's `memcpy_fromio` and `memcpy_toio`
/// (Linux `generic_access_phys`): on x86-64, a copy of 1, 2 or 4 bytes at a multiple of its length
/// is one access of that width. Any thread may call all methods.
public final class SelfMemory implements AutoCloseable {
    /// The most bytes of one copy: what a buffer outside the Java heap takes.
    private static final long CHUNK_BYTES = 64 << 10;

    private final Syscalls sys;
    private final NativeFd memory;

    private SelfMemory(Syscalls sys, NativeFd memory) {
        this.sys = sys;
        this.memory = memory;
    }

    public static SelfMemory open(Syscalls sys) {
        return new SelfMemory(sys, sys.open("/proc/self/mem", LinuxAbi.O_RDWR));
    }

    /// Copies `destination.byteSize()` bytes from an address.
    ///
    /// @throws MdevException EIO if the memory is gone; bytes before that may have been copied
    public void read(long address, MemorySegment destination) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = bufferFor(arena, destination.byteSize());
            long done = 0;
            while (done < destination.byteSize()) {
                long length = Math.min(buffer.byteSize(), destination.byteSize() - done);
                long copied =
                        sys.libc().pread(memory.number(), buffer.address(), length, address + done);
                requireSome(copied, address + done);
                MemorySegment.copy(buffer, 0, destination, done, copied);
                done += copied;
            }
        }
    }

    /// Copies `source.byteSize()` bytes to an address; otherwise as [#read].
    public void write(long address, MemorySegment source) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = bufferFor(arena, source.byteSize());
            long done = 0;
            while (done < source.byteSize()) {
                long length = Math.min(buffer.byteSize(), source.byteSize() - done);
                MemorySegment.copy(source, done, buffer, 0, length);
                long copied =
                        sys.libc()
                                .pwrite(memory.number(), buffer.address(), length, address + done);
                requireSome(copied, address + done);
                done += copied;
            }
        }
    }

    private static MemorySegment bufferFor(Arena arena, long lengthBytes) {
        return arena.allocate(Math.min(lengthBytes, CHUNK_BYTES), Long.BYTES);
    }

    private void requireSome(long copied, long address) {
        if (copied < 0) {
            throw Syscalls.failure(
                    sys.libc().errno(), "the memory is gone: address=0x%x".formatted(address));
        }
        if (copied == 0) {
            throw new MdevException(
                    Errno.EIO, "the memory is gone: address=0x%x".formatted(address));
        }
    }

    @Override
    public void close() {
        memory.close();
    }
}
