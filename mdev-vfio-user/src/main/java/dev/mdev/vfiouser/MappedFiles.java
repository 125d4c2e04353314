package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.sys.FileAbi;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// The files of a client that are mapped into this process.
///
/// A guest's memory is one file, of which a client maps many parts, and again and again. Each file
/// is mapped once, as a whole, so that a client cannot use up the mappings of this process.
///
/// Used by one thread.
final class MappedFiles {
    private final Syscalls sys;
    private final HostMemory memory;
    private final HostMm mm;
    private final DmaLimits limits;
    private final List<MappedFile> files = new ArrayList<>();

    /// The sizes of all files together.
    private long mappedBytes;

    /// @param memory gets a block for each file
    /// @param mm gets a range for each file
    /// @param limits how many files may be mapped at a time, and their size
    MappedFiles(Syscalls sys, HostMemory memory, HostMm mm, DmaLimits limits) {
        this.sys = sys;
        this.memory = memory;
        this.mm = mm;
        this.limits = limits;
    }

    /// The mapping of a part of a file, until it is [released][#release].
    ///
    /// @throws MdevException ENOSPC if too many files are mapped, or too large ones; otherwise the
    ///   error of `mmap`
    MappedFile acquire(ClientFile.Place place) {
        MappedFile file = fileOf(place);
        file.parts++;
        return file;
    }

    private MappedFile fileOf(ClientFile.Place place) {
        FileFacts facts = place.facts();
        for (MappedFile file : files) {
            if (file.is(facts) && place.offsetBytes() + place.sizeBytes() <= file.sizeBytes()) {
                return file;
            }
        }
        // A file without content may be of any size, and takes that many of this process's
        // addresses.
        if (files.size() >= limits.files() || facts.sizeBytes() > limits.bytes() - mappedBytes) {
            throw new MdevException(
                    Errno.ENOSPC,
                    "files=%d of mappedBytes=%d are mapped: no room for sizeBytes=%d"
                            .formatted(files.size(), mappedBytes, facts.sizeBytes()));
        }
        MappedFile made = map(place);
        files.add(made);
        mappedBytes += made.sizeBytes();
        return made;
    }

    @SuppressWarnings("restricted") // of as many bytes as mmap gave
    private MappedFile map(ClientFile.Place place) {
        FileFacts facts = place.facts();
        Prot prot = ClientFile.isWritable(facts) ? Prot.READ_WRITE : Prot.READ;
        long block = Math.max(1, facts.blockBytes());
        long sizeBytes = Math.ceilDiv(facts.sizeBytes(), block) * block;
        // Huge pages must be there, or a later access finds none. Other memory needs no reserve.
        int reserve = facts.fileSystem() == FileAbi.HUGETLBFS_MAGIC ? 0 : LinuxAbi.MAP_NORESERVE;
        long address =
                sys.mmap(
                        new Syscalls.Placement(
                                0,
                                sizeBytes,
                                prot == Prot.READ
                                        ? LinuxAbi.PROT_READ
                                        : LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE,
                                LinuxAbi.MAP_SHARED | reserve),
                        place.fd(),
                        0);
        Arena arena = Arena.ofShared();
        long npages = Page.numberOf(facts.sizeBytes());
        MemorySegment segment =
                MemorySegment.ofAddress(address)
                        .reinterpret(sizeBytes, arena, _ -> sys.munmap(address, sizeBytes))
                        .asSlice(0, Page.bytesOf(npages));
        HostMemory.Block pages =
                memory.adopt("memory of a client", npages, new Mapping(arena, segment));
        try {
            return new MappedFile(facts, pages, mm.mapEagerly(pages.pfns(), prot));
        } catch (RuntimeException | Error e) {
            memory.free(pages);
            throw e;
        }
    }

    /// Undoes one [#acquire]. When the last is undone, nobody reaches the file's memory any more.
    void release(MappedFile file) {
        file.parts--;
        if (file.parts == 0) {
            files.removeIf(other -> other == file);
            mappedBytes -= file.sizeBytes();
            mm.remove(file.vma);
            memory.free(file.block);
        }
    }

    /// One mapping of a whole file.
    static final class MappedFile {
        private final FileFacts facts;
        private final HostMemory.Block block;
        private final Vma vma;
        private int parts;

        MappedFile(FileFacts facts, HostMemory.Block block, Vma vma) {
            this.facts = facts;
            this.block = block;
            this.vma = vma;
        }

        private boolean is(FileFacts other) {
            return facts.device() == other.device()
                    && facts.inode() == other.inode()
                    && ClientFile.isWritable(facts) == ClientFile.isWritable(other);
        }

        private long sizeBytes() {
            return vma.range().lengthBytes();
        }

        /// The host address of a byte of the file.
        long hvaOf(long offsetBytes) {
            return vma.range().startHva() + offsetBytes;
        }
    }

    private record Mapping(Arena arena, MemorySegment segment) implements MemoryBackend.Backing {
        @Override
        public int fd() {
            return -1;
        }

        @Override
        public long fileOffsetBytes() {
            return 0;
        }

        @Override
        public void release() {
            arena.close();
        }
    }
}
