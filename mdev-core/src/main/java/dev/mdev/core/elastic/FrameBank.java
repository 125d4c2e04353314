package dev.mdev.core.elastic;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.UUID;

/// The physical pages of a pool, in frames of one unit, as [ElasticPool] needs them. A frame is
/// named by its first pfn. Called without a lock of the pool.
public interface FrameBank {
    /// Gives a device free frames, which are clean. Before this returns, it is durably recorded
    /// that they may be dirty from now on.
    ///
    /// @param most at least 1
    /// @return the frames, ascending; fewer or none if there are no more, or the record fails
    List<Long> borrow(UUID device, int most);

    /// Passes clean frames from one device to another: all, or none if this throws.
    void pass(List<Long> frames, UUID from, UUID to);

    /// Makes clean frames of a device free: all, or none if this throws.
    void giveBack(List<Long> frames, UUID from);

    /// Sets frames of a device to zero and reads them back. Those that do not read back as zero are
    /// quarantined, and no longer the device's. If this throws, all of them are still the device's.
    ///
    /// @return the clean frames
    List<Long> scrub(List<Long> frames, UUID owner);

    /// Quarantines frames of a device: nobody gets them.
    void quarantine(List<Long> frames, UUID owner, String reason);

    /// Copies bytes from a frame.
    ///
    /// @throws dev.mdev.api.MdevException EIO if the content cannot be had
    void read(long pfn, long offsetBytes, MemorySegment destination);

    /// Copies bytes to a frame.
    ///
    /// @throws dev.mdev.api.MdevException EIO if the page cannot be written
    void write(long pfn, long offsetBytes, MemorySegment source);
}
