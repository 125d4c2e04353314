package dev.mdev.core.hostmm;

import dev.mdev.api.page.PfnRange;

import java.lang.foreign.MemorySegment;

/// Where the newest content of some pages is while users outside this process have copies of them,
/// such as a page cache that a client maps.
///
/// The home decides for itself which pages are still there: a caller that was told of a home may
/// come too late, and then gets false, waits in [#settle] and looks again. Any thread.
public interface PageHome {
    /// Copies bytes as the outside users see them.
    ///
    /// @param pfns the pages
    /// @param firstHomePage the home's number of the first of them
    /// @param offsetBytes of the first byte, from the start of the pages
    /// @return false if not all pages are here, or some are on their way; nothing is copied then
    /// @throws dev.mdev.api.MdevException EIO if the content cannot be had
    boolean read(PfnRange pfns, long firstHomePage, long offsetBytes, MemorySegment destination);

    /// Brings the newest content into the pages' own memory and keeps outside users away until
    /// [#release]. They wait meanwhile, so the holder must be quick and wait for nothing.
    ///
    /// @return false if not all pages are here, or some are on their way; nothing is held then
    /// @throws dev.mdev.api.MdevException EIO if the content cannot be had
    boolean hold(PfnRange pfns, long firstHomePage);

    /// Ends a [#hold] of the same pages.
    void release(PfnRange pfns, long firstHomePage);

    /// Waits until a page is not on its way.
    ///
    /// @throws dev.mdev.api.MdevException EIO if that takes too long
    void settle(long homePage);
}
