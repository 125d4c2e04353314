package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.sys.Syscalls;

/// Memory in files without names (`memfd_create(2)`): guest RAM, and apertures of parents that
/// exist only in software. Pages are allocated at their first access; the descriptor allows further
/// mappings of them.
public final class MemfdMemory implements MemoryBackend {
    private final Syscalls sys;

    public MemfdMemory() {
        this(Syscalls.ofThisProcess());
    }

    public MemfdMemory(Syscalls sys) {
        this.sys = sys;
    }

    @Override
    public Backing allocate(String name, long sizeBytes) {
        return FileMapping.of(sys, sys.memfd(name, sizeBytes), sizeBytes);
    }
}
