package dev.mdev.core.bus;

import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.core.device.Parent;
import dev.mdev.core.elastic.ElasticPool;
import dev.mdev.core.elastic.Reclaim;

import java.util.HashMap;
import java.util.Map;

/// Room on a parent for a device that is to be created, made by elastic shares that have more than
/// their minimum. What is made free stays free for new devices until this is closed.
final class ElasticRoom implements AutoCloseable {
    private final Parent parent;
    private final MdevType type;

    /// By pool. All requests of one creation share a deadline.
    private final Map<String, Reclaim> reclaims = new HashMap<>();

    ElasticRoom(Parent parent, MdevType type) {
        this.parent = parent;
        this.type = type;
    }

    /// Makes room, if that is what is missing, and as far as there is some to be made.
    ///
    /// @return whether any was made
    /// @throws MdevException as [Reclaim#makeFree]
    boolean make() {
        boolean made = false;
        for (MdevType.Demand demand : type.demands()) {
            ElasticPool pool = parent.elastic().get(demand.pool());
            long missing = pool == null ? 0 : parent.capacity().missing(demand);
            while (pool != null && missing > 0) {
                Reclaim reclaim = reclaims.computeIfAbsent(demand.pool(), _ -> pool.reclaim());
                if (reclaim.makeFree(missing) == 0) {
                    break;
                }
                made = true;
                missing = parent.capacity().missing(demand);
            }
        }
        return made;
    }

    @Override
    public void close() {
        reclaims.values().forEach(Reclaim::close);
    }
}
