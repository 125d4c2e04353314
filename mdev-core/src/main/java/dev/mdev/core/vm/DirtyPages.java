package dev.mdev.core.vm;

import java.util.List;
import java.util.UUID;

/// The dirty pages of a part of a machine's memory.
///
/// @param of the part
/// @param npages its pages
/// @param runs its dirty pages, ascending and disjoint
public record DirtyPages(Of of, long npages, List<Run> runs) {
    public DirtyPages {
        runs = List.copyOf(runs);
    }

    /// What is counted in pages.
    public sealed interface Of {
        /// A memory slot.
        ///
        /// @param gpa of its first page
        record Slot(int addressSpace, int id, long gpa) implements Of {}

        /// All RAM of the machine, whichever slots show it.
        record Ram() implements Of {}

        /// A mapped area of a device's region, whichever slots show it.
        ///
        /// @param offsetBytes of its first page in the region
        record Area(UUID mdev, int region, long offsetBytes) implements Of {}
    }

    /// Dirty pages one after the other.
    ///
    /// @param first the first one's number within the part
    public record Run(long first, long count) {}

    /// The number of dirty pages.
    public long dirty() {
        return runs.stream().mapToLong(Run::count).sum();
    }
}
