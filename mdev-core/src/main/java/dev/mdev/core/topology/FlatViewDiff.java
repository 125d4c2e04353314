package dev.mdev.core.topology;

import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/// Reports to a listener how one view becomes another (QEMU `address_space_update_topology_pass`).
final class FlatViewDiff {
    private final List<FlatRange> olds;
    private final List<FlatRange> news;

    FlatViewDiff(FlatView before, FlatView after) {
        this.olds = before.ranges();
        this.news = after.ranges();
    }

    void tell(TopologyListener listener) {
        listener.begin();
        walk(listener::regionDel, _ -> {}, (_, _) -> {});
        walk(_ -> {}, listener::regionAdd, (before, after) -> reportKept(listener, before, after));
        listener.commit();
    }

    private interface Kept {
        void accept(FlatRange before, FlatRange after);
    }

    private void walk(Consumer<FlatRange> gone, Consumer<FlatRange> come, Kept kept) {
        int iOld = 0;
        int iNew = 0;
        while (iOld < olds.size() || iNew < news.size()) {
            FlatRange before = iOld < olds.size() ? olds.get(iOld) : null;
            FlatRange after = iNew < news.size() ? news.get(iNew) : null;
            if (before != null && after != null && before.equalsButForLog(after)) {
                kept.accept(before, after);
                iOld++;
                iNew++;
            } else if (before != null
                    && (after == null
                            || Long.compareUnsigned(before.firstGpa(), after.firstGpa()) <= 0)) {
                gone.accept(before);
                iOld++;
            } else if (after != null) {
                come.accept(after);
                iNew++;
            }
        }
    }

    private static void reportKept(TopologyListener listener, FlatRange before, FlatRange after) {
        Set<DirtyClient> had = before.logClients();
        Set<DirtyClient> has = after.logClients();
        listener.regionNop(after);
        if (!had.containsAll(has)) {
            listener.logStart(after, had);
        }
        if (!has.containsAll(had)) {
            listener.logStop(after, had);
        }
    }
}
