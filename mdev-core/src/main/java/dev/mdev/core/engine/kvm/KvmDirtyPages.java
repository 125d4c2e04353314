package dev.mdev.core.engine.kvm;

import dev.mdev.core.dirty.DirtyModes;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.dirty.DirtyRingCollector;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Transfers the writes of guests from the kernel's log to the machine's own log.
///
/// In the plain mode, reading the kernel's log also clears it and write-protects its pages again,
/// in one step: before each read of the machine's log, it first gets the kernel's, and the kernel
/// logs the next write of every page that is not in it then. With manual protection, a read leaves
/// the kernel's log as it is, and what the machine takes from its own log is cleared in the
/// kernel's, too, which protects those pages. With rings, their entries are the kernel's log.
final class KvmDirtyPages implements DirtyProtector {
    private final KvmVm vm;
    private final DirtyModes modes;
    private final DirtyRingCollector rings;

    KvmDirtyPages(KvmVm vm, DirtyModes modes, DirtyRingCollector rings) {
        this.vm = vm;
        this.modes = modes;
        this.rings = rings;
    }

    @Override
    public void drain(Memslot slot) {
        DirtyBitmap bitmap = slot.bitmap();
        if (bitmap == null || !slot.logsDirty()) {
            return;
        }
        if (modes.usesRing()) {
            rings.collect();
            return;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment words = scratch.allocate(bitmap.sizeBytes(), Long.BYTES);
            int errno = vm.tryGetDirtyLog(slot.slotNumber(), words);
            if (errno != 0) {
                throw Syscalls.failure(errno, "KVM_GET_DIRTY_LOG " + slot);
            }
            for (int word = 0; word < bitmap.words(); word++) {
                long bits = words.getAtIndex(ValueLayout.JAVA_LONG, word);
                if (bits != 0) {
                    bitmap.setAll(word, bits);
                }
            }
        }
    }

    @Override
    public void protect(Memslot slot, long baseIndex, long bits) {
        protectWords(slot, baseIndex, new long[] {bits}, 1);
    }

    @Override
    public void protectWords(Memslot slot, long baseIndex, long[] words, int count) {
        if (!modes.isManualProtect() || modes.usesRing() || !slot.logsDirty()) {
            return;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment named = scratch.allocate((long) count * Long.BYTES, Long.BYTES);
            MemorySegment.copy(words, 0, named, ValueLayout.JAVA_LONG, 0, count);
            int npages = (int) Math.min((long) count * Long.SIZE, slot.npages() - baseIndex);
            int errno = vm.tryClearDirtyLog(slot.slotNumber(), npages, baseIndex, named);
            if (errno != 0) {
                throw Syscalls.failure(
                        errno,
                        "KVM_CLEAR_DIRTY_LOG %s firstPage=%d npages=%d"
                                .formatted(slot, baseIndex, npages));
            }
        }
    }

    @Override
    public void flush() {}
}
