package dev.mdev.testkit;

import dev.mdev.api.Aperture;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReferenceArray;

/// An aperture in plain memory. A page uses memory from its first nonzero store until it is filled
/// with zeroes, so that tests can count the used pages.
///
/// Any threads may use it at once.
public final class SparseAperture implements Aperture {
    private static final ValueLayout.OfShort SHORT =
            ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT =
            ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG =
            ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    /// A page of zeroes.
    static final MemorySegment ZEROES =
            MemorySegment.ofArray(new long[Page.SIZE / Long.BYTES]).asReadOnly();

    private final PfnRange pfns;

    /// The memory types, by the first page of each; the first is at the first page.
    private final NavigableMap<Long, Caching> types;

    /// By page of the aperture; null while the page is zero.
    private final AtomicReferenceArray<@Nullable MemorySegment> pages;

    /// An aperture of zeroes.
    ///
    /// @param pfns its pages, at most 2^31 - 1
    public SparseAperture(PfnRange pfns) {
        this(pfns, new TreeMap<>(Map.of(pfns.firstPfn(), Caching.WRITE_BACK)));
    }

    SparseAperture(PfnRange pfns, NavigableMap<Long, Caching> types) {
        this.pfns = pfns;
        this.types = types;
        this.pages = new AtomicReferenceArray<>(Math.toIntExact(pfns.npages()));
    }

    @Override
    public PfnRange pfns() {
        return pfns;
    }

    @Override
    public Optional<Caching> cachingOf(PfnRange range) {
        Caching first = Objects.requireNonNull(types.floorEntry(range.firstPfn())).getValue();
        boolean same =
                types.subMap(range.firstPfn(), range.endPfn()).values().stream()
                        .allMatch(type -> type == first);
        return same ? Optional.of(first) : Optional.empty();
    }

    @Override
    public void read(long offsetBytes, MemorySegment destination) {
        checkBounds(offsetBytes, destination.byteSize());
        forEachPiece(
                offsetBytes,
                destination.byteSize(),
                (index, inPage, done, length) ->
                        MemorySegment.copy(forLoad(index), inPage, destination, done, length));
    }

    @Override
    public void write(long offsetBytes, MemorySegment source) {
        checkBounds(offsetBytes, source.byteSize());
        forEachPiece(
                offsetBytes,
                source.byteSize(),
                (index, inPage, done, length) ->
                        MemorySegment.copy(source, done, forStore(index), inPage, length));
    }

    @Override
    public void fill(long offsetBytes, long lengthBytes, byte value) {
        checkBounds(offsetBytes, lengthBytes);
        forEachPiece(
                offsetBytes,
                lengthBytes,
                (index, inPage, done, length) -> {
                    if (value == 0 && length == Page.SIZE) {
                        pages.set(index, null);
                    } else if (value != 0 || pages.get(index) != null) {
                        forStore(index).asSlice(inPage, length).fill(value);
                    }
                });
    }

    /// A guest's load of 1, 2, 4 or 8 bytes that lie within one page.
    long load(long pfn, int offsetBytes, int widthBytes) {
        MemorySegment page = forLoad(indexOf(pfn));
        return switch (widthBytes) {
            case 1 -> page.get(ValueLayout.JAVA_BYTE, offsetBytes) & 0xFFL;
            case 2 -> page.get(SHORT, offsetBytes) & 0xFFFFL;
            case 4 -> page.get(INT, offsetBytes) & 0xFFFF_FFFFL;
            case 8 -> page.get(LONG, offsetBytes);
            default -> throw new IllegalArgumentException("widthBytes=" + widthBytes);
        };
    }

    /// A guest's store of 1, 2, 4 or 8 bytes that lie within one page.
    void store(long pfn, int offsetBytes, int widthBytes, long value) {
        MemorySegment page = forStore(indexOf(pfn));
        switch (widthBytes) {
            case 1 -> page.set(ValueLayout.JAVA_BYTE, offsetBytes, (byte) value);
            case 2 -> page.set(SHORT, offsetBytes, (short) value);
            case 4 -> page.set(INT, offsetBytes, (int) value);
            case 8 -> page.set(LONG, offsetBytes, value);
            default -> throw new IllegalArgumentException("widthBytes=" + widthBytes);
        }
    }

    /// Pages of `range` that use memory.
    public long residentPages(PfnRange range) {
        long resident = 0;
        for (long pfn = range.firstPfn(); pfn < range.endPfn(); pfn++) {
            if (pages.get(indexOf(pfn)) != null) {
                resident++;
            }
        }
        return resident;
    }

    /// Whether the page is zero.
    public boolean isZero(long pfn) {
        MemorySegment page = pages.get(indexOf(pfn));
        return page == null || page.mismatch(ZEROES) < 0;
    }

    private MemorySegment forLoad(int index) {
        MemorySegment page = pages.get(index);
        return page == null ? ZEROES : page;
    }

    private MemorySegment forStore(int index) {
        MemorySegment page = pages.get(index);
        if (page != null) {
            return page;
        }
        MemorySegment fresh = MemorySegment.ofArray(new long[Page.SIZE / Long.BYTES]);
        MemorySegment winner = pages.compareAndExchange(index, null, fresh);
        return winner == null ? fresh : winner;
    }

    private int indexOf(long pfn) {
        if (!pfns.contains(pfn)) {
            throw new IndexOutOfBoundsException("pfn=0x%x aperture=%s".formatted(pfn, pfns));
        }
        return Math.toIntExact(pfn - pfns.firstPfn());
    }

    private void checkBounds(long offsetBytes, long lengthBytes) {
        long sizeBytes = Page.bytesOf(pfns.npages());
        if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes > sizeBytes - lengthBytes) {
            throw new IndexOutOfBoundsException(
                    "offsetBytes=0x%x lengthBytes=0x%x sizeBytes=0x%x"
                            .formatted(offsetBytes, lengthBytes, sizeBytes));
        }
    }

    private interface Piece {
        void accept(int index, int inPage, long done, int length);
    }

    private static void forEachPiece(long offsetBytes, long lengthBytes, Piece piece) {
        long done = 0;
        while (done < lengthBytes) {
            int inPage = Page.offsetOf(offsetBytes + done);
            int length = (int) Math.min(lengthBytes - done, Page.SIZE - inPage);
            piece.accept((int) Page.numberOf(offsetBytes + done), inPage, done, length);
            done += length;
        }
    }
}
