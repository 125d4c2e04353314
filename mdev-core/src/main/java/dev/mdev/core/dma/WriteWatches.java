package dev.mdev.core.dma;

import dev.mdev.core.addr.GfnRange;

/// Tells of stores of a guest's processors to watched pages. Any thread may call the methods.
public interface WriteWatches {
    /// Watches pages, and whatever memory comes to their addresses later.
    ///
    /// @param listener called by the thread of the processor that stored, with no lock held
    Watch watch(GfnRange gfns, Listener listener);

    /// Watched pages.
    interface Watch extends AutoCloseable {
        /// Ends the watch. Closing again does nothing.
        @Override
        void close();
    }

    /// Receives stores.
    @FunctionalInterface
    interface Listener {
        /// @param gpa the first byte stored, all in one page
        /// @param widthBytes 1 to 8
        /// @param value the stored bytes, in the low bytes
        void written(long gpa, int widthBytes, long value);
    }
}
