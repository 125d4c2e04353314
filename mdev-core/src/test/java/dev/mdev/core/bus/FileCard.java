package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.hostmm.MemoryBackend;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/// The memory of a card in a mapped file, which the kernel keeps when the process is killed.
record FileCard(MemorySegment memory) implements Aperture {
    /// @param file is made if there is none
    static FileCard open(Path file, long npages) throws IOException {
        try (FileChannel channel =
                FileChannel.open(
                        file,
                        StandardOpenOption.CREATE,
                        StandardOpenOption.READ,
                        StandardOpenOption.WRITE)) {
            return new FileCard(
                    channel.map(
                            FileChannel.MapMode.READ_WRITE,
                            0,
                            Page.bytesOf(npages),
                            Arena.global()));
        }
    }

    boolean isZero(long firstPage, long npages) {
        return MemoryBackend.isZero(
                memory.asSlice(Page.addressOf(firstPage), Page.bytesOf(npages)));
    }

    @Override
    public PfnRange pfns() {
        return new PfnRange(0x5000, Page.numberOf(memory.byteSize()));
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        MemorySegment.copy(memory, offsetBytes, destination, 0, destination.byteSize());
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        MemorySegment.copy(source, 0, memory, offsetBytes, source.byteSize());
    }

    @Override
    public void fill(long offsetBytes, long lengthBytes, byte value) {
        memory.asSlice(offsetBytes, lengthBytes).fill(value);
    }
}
