package dev.mdev.core.hostmm;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.sync.Srcu;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReferenceArray;

/// The pages of one block that have a [PageHome], and how the host reads and writes the block while
/// some do.
///
/// A page without a home is read and written in its own memory, inside a read section. A page gets
/// a home by [#publish], which waits for the sections that may not have seen it: so no direct
/// access is in progress when the first outside user gets a copy of the page. There is no such wait
/// at the end: the home itself waits for its readers and holders before it gives a page up.
///
/// A page has at most one home. Any thread may call all methods.
public final class HomedPages {
    private static final int LEAF_SHIFT = 9;
    private static final int LEAF_SIZE = 1 << LEAF_SHIFT;

    /// The most bytes of one direct copy: a publication waits for it.
    private static final long CHUNK_BYTES = 64 << 10;

    private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(60);

    private final PfnRange pfns;
    private final MemoryBackend.Backing backing;
    private final MemorySegment own;
    private final AtomicReferenceArray<@Nullable AtomicReferenceArray<@Nullable Place>> leaves;
    private final Srcu direct = new Srcu();

    /// Pages that never get a home: see [#keepConstant].
    private final List<PfnRange> constant = new CopyOnWriteArrayList<>();

    /// Where a page is.
    private record Place(PageHome home, long page) {}

    /// @param backing the pages' own memory
    HomedPages(PfnRange pfns, MemoryBackend.Backing backing) {
        this.pfns = pfns;
        this.backing = backing;
        this.own = backing.segment();
        this.leaves =
                new AtomicReferenceArray<>(
                        Math.toIntExact((pfns.npages() + LEAF_SIZE - 1) >> LEAF_SHIFT));
    }

    /// Says that nobody writes to these pages while they are visible anywhere, so that any number
    /// of users may have copies, and none of them is a home.
    void keepConstant(PfnRange run) {
        constant.add(run);
    }

    /// Gives pages a home. When it returns, every access of the host to these pages goes there.
    ///
    /// @param firstHomePage the home's number of the first page
    /// @throws MdevException EBUSY if one has a home; nothing has changed then
    public void publish(PfnRange run, PageHome home, long firstHomePage) {
        if (constant.stream().anyMatch(pages -> pages.contains(run))) {
            return;
        }
        for (long i = 0; i < run.npages(); i++) {
            long page = run.firstPfn() - pfns.firstPfn() + i;
            if (!leafFor(page)
                    .compareAndSet(slotOf(page), null, new Place(home, firstHomePage + i))) {
                if (i > 0) {
                    withdraw(new PfnRange(run.firstPfn(), i));
                }
                throw new MdevException(
                        Errno.EBUSY,
                        "the page is visible at another place: pfn=0x%x"
                                .formatted(run.firstPfn() + i));
            }
        }
        direct.synchronize();
    }

    /// Takes pages back from their home, which no longer uses them.
    public void withdraw(PfnRange run) {
        for (long i = 0; i < run.npages(); i++) {
            long page = run.firstPfn() - pfns.firstPfn() + i;
            leafFor(page).set(slotOf(page), null);
        }
    }

    private AtomicReferenceArray<@Nullable Place> leafFor(long page) {
        int index = (int) (page >>> LEAF_SHIFT);
        AtomicReferenceArray<@Nullable Place> leaf = leaves.get(index);
        if (leaf != null) {
            return leaf;
        }
        AtomicReferenceArray<@Nullable Place> made = new AtomicReferenceArray<>(LEAF_SIZE);
        return leaves.compareAndSet(index, null, made)
                ? made
                : Objects.requireNonNull(leaves.get(index));
    }

    private static int slotOf(long page) {
        return (int) page & (LEAF_SIZE - 1);
    }

    private @Nullable Place placeOf(long page) {
        AtomicReferenceArray<@Nullable Place> leaf = leaves.get((int) (page >>> LEAF_SHIFT));
        return leaf == null ? null : leaf.get(slotOf(page));
    }

    void read(long offsetBytes, MemorySegment destination) {
        each(
                offsetBytes,
                destination.byteSize(),
                new Access() {
                    @Override
                    public void direct(long at, long done, long length) {
                        backing.read(at, destination.asSlice(done, length));
                    }

                    @Override
                    public boolean at(PageHome home, Piece piece) {
                        return home.read(
                                piece.pfns,
                                piece.homePage,
                                Page.offsetOf(piece.at),
                                destination.asSlice(piece.done, piece.length));
                    }
                });
    }

    void write(long offsetBytes, MemorySegment source) {
        each(
                offsetBytes,
                source.byteSize(),
                (Holding) (at, done, length) -> MemorySegment.copy(source, done, own, at, length));
    }

    void fill(long offsetBytes, long lengthBytes, byte value) {
        each(
                offsetBytes,
                lengthBytes,
                (Holding) (at, _, length) -> own.asSlice(at, length).fill(value));
    }

    /// Sets pages to zero, as [HostMemory.Block#clear].
    boolean clear(long offsetBytes, long lengthBytes) {
        boolean[] zero = {true};
        each(
                offsetBytes,
                lengthBytes,
                (Holding) (at, _, length) -> zero[0] &= backing.clear(at, length));
        return zero[0];
    }

    /// Runs a short action on one page's own memory, unless the page is on its way.
    ///
    /// @return whether it ran; if not, the caller lets go of what it holds and calls [#settle]
    boolean tryHolding(long pfn, Runnable action) {
        long page = pfn - pfns.firstPfn();
        PfnRange one = new PfnRange(pfn, 1);
        int section = direct.readLock();
        Place place;
        try {
            place = placeOf(page);
            if (place == null) {
                action.run();
                return true;
            }
        } finally {
            direct.readUnlock(section);
        }
        if (!place.home.hold(one, place.page)) {
            return false;
        }
        try {
            action.run();
        } finally {
            place.home.release(one, place.page);
        }
        return true;
    }

    /// Runs a short action that reads one page: on its own memory, or on a copy of what its users
    /// see; otherwise as [#tryHolding].
    boolean tryReading(long pfn, long offsetInPage, HostMm.PageAction action) {
        long page = pfn - pfns.firstPfn();
        int section = direct.readLock();
        Place place;
        try {
            place = placeOf(page);
            if (place == null) {
                action.run(own, Page.addressOf(page) + offsetInPage);
                return true;
            }
        } finally {
            direct.readUnlock(section);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Page.SIZE, Long.BYTES);
            if (!place.home.read(new PfnRange(pfn, 1), place.page, 0, copy)) {
                return false;
            }
            action.run(copy, offsetInPage);
            return true;
        }
    }

    /// Waits until a page is not on its way.
    void settle(long pfn) {
        Place place = placeOf(pfn - pfns.firstPfn());
        if (place != null) {
            place.home.settle(place.page);
        }
    }

    /// A piece of an access, in pages with one home.
    ///
    /// @param at offset in the block
    /// @param done bytes of the access before it
    private record Piece(PfnRange pfns, long homePage, long at, long done, long length) {}

    private interface Access {
        void direct(long at, long done, long length);

        boolean at(PageHome home, Piece piece);
    }

    /// An access that is made in the own memory, also of pages with a home.
    @FunctionalInterface
    private interface Holding extends Access {
        @Override
        default boolean at(PageHome home, Piece piece) {
            if (!home.hold(piece.pfns, piece.homePage)) {
                return false;
            }
            try {
                direct(piece.at, piece.done, piece.length);
            } finally {
                home.release(piece.pfns, piece.homePage);
            }
            return true;
        }
    }

    private void each(long offsetBytes, long lengthBytes, Access access) {
        Objects.checkFromIndexSize(offsetBytes, lengthBytes, own.byteSize());
        long start = System.nanoTime();
        long done = 0;
        while (done < lengthBytes) {
            long length = step(offsetBytes + done, done, lengthBytes - done, access);
            if (length == 0 && System.nanoTime() - start > PATIENCE_NANOS) {
                throw new MdevException(
                        Errno.EIO,
                        "the pages do not settle: offset=0x%x in pfns=%s"
                                .formatted(offsetBytes + done, pfns));
            }
            done += length;
        }
    }

    /// @return bytes that were accessed; 0 after a wait for a page that is on its way
    private long step(long at, long done, long restBytes, Access access) {
        long mostBytes = Math.min(restBytes, CHUNK_BYTES);
        long page = Page.numberOf(at);
        int section = direct.readLock();
        Place place;
        long npages;
        try {
            place = placeOf(page);
            npages = runFrom(page, place, Page.numberOf(at + mostBytes - 1) + 1);
            if (place == null) {
                long length = Math.min(mostBytes, Page.addressOf(page + npages) - at);
                access.direct(at, done, length);
                return length;
            }
        } finally {
            direct.readUnlock(section);
        }
        long length = Math.min(mostBytes, Page.addressOf(page + npages) - at);
        PfnRange run = new PfnRange(pfns.firstPfn() + page, npages);
        if (access.at(place.home, new Piece(run, place.page, at, done, length))) {
            return length;
        }
        place.home.settle(place.page);
        return 0;
    }

    /// The pages from `page` on, before `endPage`, that are at one place, in order.
    private long runFrom(long page, @Nullable Place first, long endPage) {
        long next = page + 1;
        while (next < endPage && follows(first, placeOf(next), next - page)) {
            next++;
        }
        return next - page;
    }

    @SuppressWarnings("ReferenceEquality") // a home is one object
    private static boolean follows(@Nullable Place first, @Nullable Place other, long distance) {
        if (first == null || other == null) {
            return first == null && other == null;
        }
        return first.home == other.home && first.page + distance == other.page;
    }
}
