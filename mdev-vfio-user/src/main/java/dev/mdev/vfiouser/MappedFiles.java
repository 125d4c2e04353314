package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.FileAbi;
import dev.mdev.core.sys.FileFacts;
import dev.mdev.core.sys.LinuxAbi;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/// The files of a client that are mapped into this process.
///
/// A guest's memory is one file, of which a client maps many parts, and again and again. Each file
/// is mapped once, as a whole, so that a client cannot use up the mappings of this process.
///
/// Used by one thread.
final class MappedFiles {
    private final Syscalls sys;
    private final int maxFiles;
    private final List<MappedFile> files = new ArrayList<>();

    /// @param maxFiles how many files of the client may be mapped at a time
    MappedFiles(Syscalls sys, int maxFiles) {
        this.sys = sys;
        this.maxFiles = maxFiles;
    }

    /// The memory of a part of a file.
    ///
    /// @throws MdevException ENOSPC if too many files are mapped; otherwise the error of `mmap`
    MemoryBackend.Backing memoryOf(ClientFile.Place place) {
        MappedFile file = fileOf(place);
        file.parts++;
        return new Part(
                file, file.memory.asSlice(place.offsetBytes(), place.sizeBytes()), this::release);
    }

    private MappedFile fileOf(ClientFile.Place place) {
        FileFacts facts = place.facts();
        for (MappedFile file : files) {
            if (file.is(facts) && place.offsetBytes() + place.sizeBytes() <= file.sizeBytes()) {
                return file;
            }
        }
        if (files.size() >= maxFiles) {
            throw new MdevException(
                    Errno.ENOSPC, "files=%d are mapped, the maximum".formatted(files.size()));
        }
        MappedFile made = map(place);
        files.add(made);
        return made;
    }

    @SuppressWarnings("restricted") // of as many bytes as mmap gave
    private MappedFile map(ClientFile.Place place) {
        FileFacts facts = place.facts();
        boolean writable = facts.isWritable() && !facts.has(FileAbi.F_SEAL_WRITE);
        int prot = writable ? LinuxAbi.PROT_READ | LinuxAbi.PROT_WRITE : LinuxAbi.PROT_READ;
        long block = Math.max(1, facts.blockBytes());
        long sizeBytes = Math.ceilDiv(facts.sizeBytes(), block) * block;
        // Huge pages must be there, or a later access finds none. Other memory needs no reserve.
        int reserve = facts.fileSystem() == FileAbi.HUGETLBFS_MAGIC ? 0 : LinuxAbi.MAP_NORESERVE;
        long address =
                sys.mmap(
                        new Syscalls.Placement(0, sizeBytes, prot, LinuxAbi.MAP_SHARED | reserve),
                        place.fd(),
                        0);
        Arena arena = Arena.ofShared();
        MemorySegment memory =
                MemorySegment.ofAddress(address)
                        .reinterpret(sizeBytes, arena, gone -> sys.munmap(address, sizeBytes))
                        .asSlice(0, facts.sizeBytes());
        return new MappedFile(facts, arena, memory);
    }

    private void release(MappedFile file) {
        file.parts--;
        if (file.parts > 0) {
            return;
        }
        Iterator<MappedFile> all = files.iterator();
        while (all.hasNext()) {
            if (all.next() == file) {
                all.remove();
            }
        }
        file.arena.close();
    }

    /// One mapping.
    private static final class MappedFile {
        private final FileFacts facts;
        private final Arena arena;
        private final MemorySegment memory;
        private int parts;

        MappedFile(FileFacts facts, Arena arena, MemorySegment memory) {
            this.facts = facts;
            this.arena = arena;
            this.memory = memory;
        }

        boolean is(FileFacts other) {
            return facts.device() == other.device()
                    && facts.inode() == other.inode()
                    && facts.isWritable() == other.isWritable()
                    && facts.has(FileAbi.F_SEAL_WRITE) == other.has(FileAbi.F_SEAL_WRITE);
        }

        long sizeBytes() {
            return memory.byteSize();
        }
    }

    @FunctionalInterface
    private interface Releaser {
        void release(MappedFile file);
    }

    /// A part of one, as memory of the host.
    private record Part(MappedFile file, MemorySegment segment, Releaser releaser)
            implements MemoryBackend.Backing {
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
            releaser.release(file);
        }
    }
}
