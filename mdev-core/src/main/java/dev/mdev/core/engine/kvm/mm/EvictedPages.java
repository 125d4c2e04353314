package dev.mdev.core.engine.kvm.mm;

import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.engine.kvm.mm.VmaMap.Target;
import dev.mdev.core.sys.LinuxAbi;

import org.jspecify.annotations.Nullable;

/// The granted pages of a range that have no kernel mapping now, and their targets. Not for
/// concurrent use, except [#everHadAny].
final class EvictedPages {
    private static final int NO_FILE = -1;

    private final HvaRange range;
    private final VmaMap targets;

    private volatile boolean everHadAny;

    EvictedPages(HvaRange range) {
        this.range = range;
        targets = new VmaMap(range, noneAt(range.startHva()));
    }

    /// An absent target: linear in the addresses, so that neighbours merge.
    private static Target noneAt(long hva) {
        return new Target(NO_FILE, hva, LinuxAbi.PROT_NONE);
    }

    /// Whether there has been a page. Any thread; true from before the first page loses its
    /// mapping.
    boolean everHadAny() {
        return everHadAny;
    }

    /// @param target the target at the start of the part
    void add(HvaRange part, Target target) {
        everHadAny = true;
        var _ = targets.set(part, target);
    }

    void remove(HvaRange part) {
        var _ = targets.set(part, noneAt(part.startHva()));
    }

    /// The target of a page, or null if it was not evicted.
    @Nullable Target targetOf(HvaRange page) {
        Target target = targets.partsOf(page).getFirst().target();
        return target.file() == NO_FILE ? null : target;
    }

    /// The number of pages.
    long count() {
        return targets.partsOf(range).stream()
                .filter(part -> part.target().file() != NO_FILE)
                .mapToLong(part -> part.range().npages())
                .sum();
    }
}
