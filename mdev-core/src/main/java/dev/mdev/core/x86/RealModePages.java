package dev.mdev.core.x86;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.guestmem.HostMemoryAccess;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/// The content of the pages that emulate real mode on a processor without it (Linux
/// `init_rmode_tss`, `init_rmode_identity_map`).
final class RealModePages {
    private static final int TSS_PAGES = 3;
    private static final int TSS_BASE_BYTES = 0x68;

    /// Where a task state segment has the offset of its I/O permission bitmap.
    private static final int IO_BITMAP_OFFSET_FIELD = 0x66;

    /// One bit for each software interrupt.
    private static final int REDIRECTION_BYTES = 256 / 8;

    /// One bit for each port.
    private static final int IO_BITMAP_BYTES = 65536 / 8;

    /// Present, writable, user, accessed, dirty, 4 MiB page.
    private static final int IDENTITY_ENTRY_BITS = 0xe7;

    private static final int IDENTITY_PAGE_SHIFT = 22;
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final HostMemoryAccess host;

    RealModePages(HostMemoryAccess host) {
        this.host = host;
    }

    void writeTss(long hva) {
        MemorySegment tss = newPages(TSS_PAGES);
        int ioBitmap = TSS_BASE_BYTES + REDIRECTION_BYTES;
        tss.set(SHORT, IO_BITMAP_OFFSET_FIELD, (short) ioBitmap);
        // The bitmap is followed by a byte of ones, where the processor stops reading.
        tss.set(ValueLayout.JAVA_BYTE, ioBitmap + IO_BITMAP_BYTES, (byte) 0xff);
        write(hva, tss);
    }

    void writeIdentityMap(long hva) {
        MemorySegment table = newPages(1);
        for (int i = 0; i < Page.SIZE / Integer.BYTES; i++) {
            table.setAtIndex(INT, i, i << IDENTITY_PAGE_SHIFT | IDENTITY_ENTRY_BITS);
        }
        write(hva, table);
    }

    private static MemorySegment newPages(int npages) {
        return MemorySegment.ofArray(new byte[npages * Page.SIZE]);
    }

    private void write(long hva, MemorySegment pages) {
        for (long at = 0; at < pages.byteSize(); at += Page.SIZE) {
            if (!host.write(hva + at, pages.asSlice(at, Page.SIZE))) {
                throw new MdevException(Errno.EFAULT, "hva=0x%x".formatted(hva + at));
            }
        }
    }
}
