package dev.mdev.host.machine;

import dev.mdev.core.vm.DirtyLogMode;
import dev.mdev.core.vm.DirtyPages;
import dev.mdev.core.vm.MachineDirtyLog;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.UUID;

/// A machine's dirty log, as clients see it.
///
/// @param mode [#OFF], [#BITMAP], [#MANUAL] or [#RING]
/// @param initiallySet of [#MANUAL]
/// @param entries of each ring of [#RING]
/// @param taken pages that were cleared so far, in this and earlier logs of the machine
/// @param harvested entries that were taken from rings so far
/// @param full how often a processor stopped because its ring was full
/// @param dirty the number of dirty pages in `parts`
/// @param more whether there are dirty pages beyond those in `parts`
record DirtyLogView(
        String mode,
        @Nullable Boolean initiallySet,
        @Nullable Integer entries,
        long taken,
        long harvested,
        long full,
        long dirty,
        boolean more,
        List<Part> parts) {
    static final String OFF = "off";
    static final String BITMAP = "bitmap";
    static final String MANUAL = "manual";
    static final String RING = "ring";

    /// The dirty pages of a slot, of RAM, or of a mapped area of a device.
    ///
    /// @param addressSpace of a slot
    /// @param slot its id
    /// @param gpa of its first page
    /// @param mdev of a mapped area
    /// @param bar its region
    /// @param offset of its first page in the region
    record Part(
            @Nullable Integer addressSpace,
            @Nullable Integer slot,
            @Nullable U64 gpa,
            @Nullable UUID mdev,
            @Nullable Integer bar,
            @Nullable U64 offset,
            long pages,
            long dirty,
            List<Run> runs) {}

    /// Dirty pages one after the other.
    ///
    /// @param first the first one's number in the part
    record Run(long first, long count) {}

    static DirtyLogView of(MachineDirtyLog log, MachineDirtyLog.Answer answer) {
        DirtyLogMode mode = log.mode();
        return new DirtyLogView(
                word(mode),
                mode instanceof DirtyLogMode.ManualProtect manual ? manual.initiallySet() : null,
                mode instanceof DirtyLogMode.Ring ring ? ring.entries() : null,
                log.taken(),
                log.harvested(),
                log.full(),
                answer.dirty(),
                answer.more(),
                answer.parts().stream().map(DirtyLogView::part).toList());
    }

    private static String word(DirtyLogMode mode) {
        return switch (mode) {
            case DirtyLogMode.Off _ -> OFF;
            case DirtyLogMode.Bitmap _ -> BITMAP;
            case DirtyLogMode.ManualProtect _ -> MANUAL;
            case DirtyLogMode.Ring _ -> RING;
        };
    }

    private static Part part(DirtyPages pages) {
        List<Run> runs =
                pages.runs().stream().map(run -> new Run(run.first(), run.count())).toList();
        long npages = pages.npages();
        long dirty = pages.dirty();
        return switch (pages.of()) {
            case DirtyPages.Of.Slot slot ->
                    new Part(
                            slot.addressSpace(),
                            slot.id(),
                            new U64(slot.gpa()),
                            null,
                            null,
                            null,
                            npages,
                            dirty,
                            runs);
            case DirtyPages.Of.Ram _ ->
                    new Part(null, null, null, null, null, null, npages, dirty, runs);
            case DirtyPages.Of.Area area ->
                    new Part(
                            null,
                            null,
                            null,
                            area.mdev(),
                            area.region(),
                            new U64(area.offsetBytes()),
                            npages,
                            dirty,
                            runs);
        };
    }
}
