package dev.mdev.core.guestmem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.DirtySink;
import dev.mdev.core.memslot.Hva;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.MemslotSet;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;

/// Remembers where a small structure in guest memory is, for callers that access it often (Linux
/// `struct gfn_to_hva_cache`). The cache looks it up again after each change of slots, so it
/// follows a slot that is deleted and created again over other host memory. Always address space 0.
///
/// Not safe for concurrent use: one owner, usually a vCPU's thread.
public final class GuestMemoryCache {
    private static final long NEVER = -1;

    private final AddressSpaces spaces;
    private final GuestMemoryAccess slowPath;
    private final HostMemoryAccess host;

    private long generation = NEVER;
    private long gpa;
    private long lengthBytes;

    /// The address of `gpa`, or an error of [Hva].
    private long hva = Hva.BAD;

    /// The one slot of the structure, or null if it spans pages: then the slow path applies.
    private @Nullable Memslot slot;

    public GuestMemoryCache(AddressSpaces spaces, HostMemoryAccess host) {
        this.spaces = spaces;
        this.slowPath = new GuestMemoryAccess(spaces, host);
        this.host = host;
    }

    /// Points the cache at guest memory `[gpa, gpa + lengthBytes)`, which must be writable, even if
    /// the caller only reads.
    ///
    /// After a fault the cache keeps its old target, but fails until the slots change.
    ///
    /// @param lengthBytes at least 0
    /// @throws MdevException EINVAL if the range wraps, also if it is empty at the start of a page
    public AccessOutcome init(long gpa, long lengthBytes) {
        int token = spaces.srcu().readLock();
        try {
            return lookUp(spaces.active(0), gpa, lengthBytes);
        } finally {
            spaces.srcu().readUnlock(token);
        }
    }

    /// Copies `destination.byteSize()` bytes, starting `offsetBytes` into the structure.
    ///
    /// @throws MdevException EINVAL if the bytes exceed the structure
    public AccessOutcome read(long offsetBytes, MemorySegment destination) {
        return transfer(offsetBytes, destination, Access.READ);
    }

    /// Copies all of `source` to `offsetBytes` into the structure, and records the write.
    ///
    /// @throws MdevException EINVAL if the bytes exceed the structure
    public AccessOutcome write(long offsetBytes, MemorySegment source) {
        return transfer(offsetBytes, source, Access.WRITE);
    }

    private AccessOutcome transfer(long offsetBytes, MemorySegment buffer, Access access) {
        long count = buffer.byteSize();
        if (offsetBytes < 0 || offsetBytes > lengthBytes - count) {
            throw new MdevException(
                    Errno.EINVAL,
                    "offsetBytes=%d count=%d lengthBytes=%d"
                            .formatted(offsetBytes, count, lengthBytes));
        }
        int token = spaces.srcu().readLock();
        try {
            long from = gpa + offsetBytes;
            if (!refresh() || Hva.isError(hva)) {
                return new AccessOutcome.Fault(from);
            }
            if (slot != null) {
                return copy(slot, hva + offsetBytes, buffer, access)
                        ? AccessOutcome.ok()
                        : new AccessOutcome.Fault(from);
            }
            return switch (access) {
                case READ -> slowPath.read(from, buffer);
                case WRITE -> slowPath.write(from, buffer);
            };
        } finally {
            spaces.srcu().readUnlock(token);
        }
    }

    private boolean copy(Memslot in, long from, MemorySegment buffer, Access access) {
        // A copy of zero bytes touches no memory, so it always succeeds; Linux marks the page
        // anyway.
        boolean isEmpty = buffer.byteSize() == 0;
        return switch (access) {
            case READ -> isEmpty || host.read(from, buffer);
            case WRITE -> {
                boolean written = isEmpty || host.write(from, buffer);
                if (written) {
                    spaces.markDirty(in, Page.numberOf(gpa), DirtySink.NO_VCPU);
                }
                yield written;
            }
        };
    }

    private boolean refresh() {
        MemslotSet set = spaces.active(0);
        return set.generation() == generation || lookUp(set, gpa, lengthBytes).isOk();
    }

    private AccessOutcome lookUp(MemslotSet set, long gpa, long lengthBytes) {
        // Before any check: a failing range is checked again only after the slots change.
        generation = set.generation();
        long first = Page.numberOf(gpa);
        long last = Page.numberOf(gpa + lengthBytes - 1);
        if (first > last) {
            hva = Hva.BAD;
            throw new MdevException(
                    Errno.EINVAL, "gpa=0x%x lengthBytes=%d".formatted(gpa, lengthBytes));
        }
        Memslot found = null;
        for (long gfn = first; gfn <= last; gfn = found.endGfn()) {
            found = set.find(gfn);
            hva =
                    found == null || found.isHidden(false)
                            ? Hva.BAD
                            : Hva.of(found, gfn, Access.WRITE);
            if (found == null || Hva.isError(hva)) {
                return new AccessOutcome.Fault(gfn == first ? gpa : Page.addressOf(gfn));
            }
        }
        slot = first == last ? found : null;
        hva += slot != null ? Page.offsetOf(gpa) : 0;
        this.gpa = gpa;
        this.lengthBytes = lengthBytes;
        return AccessOutcome.ok();
    }
}
