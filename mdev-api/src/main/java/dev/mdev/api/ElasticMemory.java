package dev.mdev.api;

import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.OptionalLong;

/// A device's elastic share of a pool as one piece of memory: pages 0, 1, 2... up to the maximum of
/// its demand, which start as zeroes. The host gives a page a physical page when it is used, and may
/// take that away again, with the content, when another device needs it:
///
///     page:       0    1    2    3    4    5
///     physical:   9a   9b   -    -    37   -         page 2 is in the backing store
///
/// The pages have physical pages in units ([#unitPages]): all pages of a unit, or none.
///
/// A driver reads and writes the content here, not through its [Aperture]: only the host knows where
/// it is. It grants the pages by [MapDecision.FromPool]. Before the device itself uses physical
/// pages, the driver pins them.
///
/// Any thread may call all methods; hold no lock that [MdevDevice#evict] takes. Methods that bring a
/// page in may wait until another device's page is written away. They throw [MdevException]:
/// ETIMEDOUT if neither other devices nor this one give up a page, each within the deadline of a
/// callback; EIO or ENOSPC if the backing store fails, ECANCELED in a step of a device that must
/// stand still, ENODEV after the device's end. The content of a page is never lost by a failure.
public interface ElasticMemory extends LinearMemory {
    /// The most pages that can have content.
    long npages();

    /// The pages that the device has at any moment.
    long minPages();

    /// The pages that the host gives and takes at a time.
    long unitPages();

    /// Copies bytes from here. Pages that were taken away are brought in; pages that were never
    /// used read as zero, and stay as they are.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside
    @Override
    void read(long offsetBytes, MemorySegment destination);

    /// Copies bytes from here, and brings nothing in: for a look at pages that the device does not
    /// work with, such as an operator's at a picture.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside
    void peek(long offsetBytes, MemorySegment destination);

    /// Copies bytes to here. Brings the pages in.
    ///
    /// @throws IndexOutOfBoundsException if some bytes are outside
    @Override
    void write(long offsetBytes, MemorySegment source);

    /// Asks for pages to be brought in, and waits for nothing: for a thread of the driver's own
    /// that has other work meanwhile.
    ///
    /// @param firstPage at least 0
    /// @param npages at least 1; at most a few units, or the first are taken away again before the
    ///   last are there
    /// @return whether all of them have physical pages now; if not, ask again a little later
    /// @throws IndexOutOfBoundsException if some pages are outside
    /// @throws MdevException why the pages that were asked for last could not be brought in
    boolean fetch(long firstPage, long npages);

    /// Sets pages to zero, and gives their physical pages back where whole units are named.
    ///
    /// @param firstPage at least 0
    /// @param npages at least 1
    /// @throws IndexOutOfBoundsException if some pages are outside
    void discard(long firstPage, long npages);

    /// The physical page of a page at this moment, if it has one. The host may take it away at any
    /// time, unless it is pinned.
    ///
    /// @throws IndexOutOfBoundsException if there is no such page
    OptionalLong pfnOf(long page);

    /// Brings pages in and keeps them where they are, so that the device itself can use their
    /// physical pages, until the pin is closed. All pins of a device together hold at most half of
    /// its minimum. Pins of pages that are pinned already count again.
    ///
    /// @param firstPage at least 0
    /// @param npages at least 1
    /// @throws IndexOutOfBoundsException if some pages are outside
    /// @throws MdevException ENOMEM if that is too much; otherwise as stated above
    Pin pin(long firstPage, long npages);

    /// Pages that stay where they are.
    interface Pin extends AutoCloseable {
        /// The physical pages, in order, neighbours merged.
        List<PfnRange> pfns();

        /// Lets the host take the pages again. Closing again does nothing.
        @Override
        void close();
    }

    /// The share's size in bytes.
    default long sizeBytes() {
        return Page.bytesOf(npages());
    }

    /// The answer to a fault in a region whose page 0 is the share's page 0: the accessed page, and
    /// the pages around it in the request's window, at most `mostPages`.
    ///
    /// @param request the accessed page is in the share
    /// @param pool the share's pool
    /// @param mostPages at least 1
    default MapDecision.FromPool grant(MapRequest request, String pool, long mostPages, Prot prot) {
        long page = request.page();
        long first = Math.max(request.firstPage(), page - page % mostPages);
        long end = Math.min(Math.min(request.endPage(), npages()), first + mostPages);
        return new MapDecision.FromPool(first, pool, first, end - first, prot);
    }
}
