package dev.mdev.core.engine.kvm;

import dev.mdev.api.Errno;
import dev.mdev.core.dirty.DirtyProtector;
import dev.mdev.core.engine.kvm.kernel.KvmVm;
import dev.mdev.core.memslot.DirtyBitmap;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.sys.Syscalls;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// Transfers the writes of guests from the kernel's log to the machine's own log.
///
/// The kernel's log works in its plain mode, whatever mode the machine's log is in: reading it also
/// clears it and write-protects its pages again, in one step. So before each read of the machine's
/// log, it first gets the kernel's log, and the kernel logs the next write of every page that is
/// not in it then. The pages need no second protection.
final class KvmDirtyPages implements DirtyProtector {
    private final KvmVm vm;

    KvmDirtyPages(KvmVm vm) {
        this.vm = vm;
    }

    @Override
    public void drain(Memslot slot) {
        DirtyBitmap bitmap = slot.bitmap();
        if (bitmap == null || !slot.logsDirty()) {
            return;
        }
        try (Arena scratch = Arena.ofConfined()) {
            MemorySegment words = scratch.allocate(bitmap.sizeBytes(), Long.BYTES);
            int errno = vm.tryGetDirtyLog(slot.slotNumber(), words);
            if (errno == Errno.ENXIO.code()) {
                // Rings were enabled after the slot got its bitmap: the writes are in the rings.
                return;
            }
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
    public void protect(Memslot slot, long baseIndex, long bits) {}

    @Override
    public void flush() {}
}
