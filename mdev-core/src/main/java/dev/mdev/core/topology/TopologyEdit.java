package dev.mdev.core.topology;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.topology.RegionState.Placement;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/// The changes of one running transaction; valid only within the call of [Topology#edit] that gave
/// it, and only on its thread.
///
/// Every method throws [MdevException] with `EINVAL` for a region of another topology.
public final class TopologyEdit {
    private final Topology topology;
    private Map<MemoryRegion, RegionState> changed = new HashMap<>();
    private Set<DirtyClient> globalLog;
    private boolean open = true;

    TopologyEdit(Topology topology, Set<DirtyClient> globalLog) {
        this.topology = topology;
        this.globalLog = globalLog;
    }

    /// Places `child` in `container`. Of overlapping siblings the one with the higher priority is
    /// visible, and of equal priorities the one that was placed last. A part beyond the container's
    /// end is invisible.
    ///
    /// @param offsetBytes the child's first byte within the container, unsigned
    /// @throws MdevException `EBUSY` if the child has a container already, `EINVAL` if the
    ///   container is an alias, `EDEADLK` if the child shows the container
    public void add(MemoryRegion container, MemoryRegion child, long offsetBytes, int priority) {
        if (container.kind() instanceof RegionKind.Alias) {
            throw new MdevException(
                    Errno.EINVAL, "container=%s is an alias child=%s".formatted(container, child));
        }
        if (state(child).placement() != null) {
            throw new MdevException(
                    Errno.EBUSY, "region=%s is in a container already".formatted(child));
        }
        if (reaches(child, container, new HashSet<>())) {
            throw new MdevException(
                    Errno.EDEADLK,
                    "container=%s is visible inside child=%s".formatted(container, child));
        }
        List<MemoryRegion> siblings = new ArrayList<>(state(container).children());
        int at = 0;
        while (at < siblings.size() && priorityOf(siblings.get(at)) > priority) {
            at++;
        }
        siblings.add(at, child);
        change(container, state -> state.withChildren(siblings));
        Placement placement = new Placement(container, offsetBytes, priority);
        change(child, state -> state.withPlacement(placement));
    }

    /// Removes `child` from its container.
    ///
    /// @throws MdevException `ENOENT` if it has no container
    public void remove(MemoryRegion child) {
        MemoryRegion container = placementOf(child).container();
        change(container, state -> state.withoutChild(child));
        change(child, state -> state.withPlacement(null));
    }

    /// Moves `child` within its container. Like a newly placed region, it then comes before
    /// siblings of the same priority.
    ///
    /// @throws MdevException `ENOENT` if it has no container
    public void setOffset(MemoryRegion child, long offsetBytes) {
        Placement old = placementOf(child);
        if (old.offsetBytes() != offsetBytes) {
            remove(child);
            add(old.container(), child, offsetBytes, old.priority());
        }
    }

    /// Shows another part of an alias's target.
    ///
    /// @throws MdevException `EINVAL` if the region is no alias
    public void setAliasOffset(MemoryRegion alias, long offsetBytes) {
        if (!(alias.kind() instanceof RegionKind.Alias)) {
            throw new MdevException(Errno.EINVAL, "region=%s is not an alias".formatted(alias));
        }
        change(alias, state -> state.withAliasOffset(offsetBytes));
    }

    /// Shows or hides a region and everything below it.
    public void setEnabled(MemoryRegion region, boolean enabled) {
        change(region, state -> state.withEnabled(enabled));
    }

    /// Sets whether writes to a region, and to everything seen through it, trap.
    public void setReadonly(MemoryRegion region, boolean readonly) {
        change(region, state -> state.withReadonly(readonly));
    }

    /// Sets whether the pieces of a region, and everything seen through it, may become one with
    /// their neighbours in a view or in a slot (QEMU `memory_region_set_unmergeable`). Memory that
    /// appears and disappears in parts keeps its parts apart: then a part that stays keeps its
    /// slot.
    public void setMergeable(MemoryRegion region, boolean mergeable) {
        change(region, state -> state.withMergeable(mergeable));
    }

    /// Puts a ROM device into ROM mode or command mode.
    ///
    /// @throws MdevException `EINVAL` if the region is no ROM device
    public void setRomMode(MemoryRegion region, boolean romMode) {
        if (!(region.kind() instanceof RegionKind.RomDevice)) {
            throw new MdevException(
                    Errno.EINVAL, "region=%s is not a ROM device".formatted(region));
        }
        change(region, state -> state.withRomd(romMode));
    }

    /// Starts or stops logging a region's writes for one client.
    public void setLog(MemoryRegion region, DirtyClient client, boolean on) {
        change(region, state -> state.withLog(client, on));
    }

    /// Starts or stops logging the writes to all memory for one client.
    public void setGlobalLog(DirtyClient client, boolean on) {
        checkOpen();
        globalLog = RegionState.withClient(globalLog, client, on);
    }

    RegionState state(MemoryRegion region) {
        RegionState draft = changed.get(region);
        return draft != null ? draft : region.state();
    }

    Set<DirtyClient> globalLog() {
        return globalLog;
    }

    /// A point to return to with [#restore].
    Savepoint save() {
        return new Savepoint(Map.copyOf(changed), globalLog);
    }

    void restore(Savepoint savepoint) {
        changed = new HashMap<>(savepoint.changed);
        globalLog = savepoint.globalLog;
    }

    /// Ends the edit: later calls on the object fail.
    void close() {
        open = false;
    }

    /// Makes the draft the regions' state.
    void publish() {
        changed.forEach(MemoryRegion::publish);
    }

    record Savepoint(Map<MemoryRegion, RegionState> changed, Set<DirtyClient> globalLog) {}

    private void change(MemoryRegion region, UnaryOperator<RegionState> change) {
        checkOpen();
        if (region.owner() != topology) {
            throw new MdevException(
                    Errno.EINVAL, "region=%s is of another topology".formatted(region));
        }
        changed.put(region, change.apply(state(region)));
    }

    private void checkOpen() {
        if (!open) {
            throw new IllegalStateException("the transaction has ended");
        }
    }

    private Placement placementOf(MemoryRegion child) {
        Placement placement = state(child).placement();
        if (placement == null) {
            throw new MdevException(Errno.ENOENT, "region=%s is in no container".formatted(child));
        }
        return placement;
    }

    private int priorityOf(MemoryRegion child) {
        return placementOf(child).priority();
    }

    /// Whether flattening `from` would reach `to`.
    private boolean reaches(MemoryRegion from, MemoryRegion to, Set<MemoryRegion> seen) {
        if (from == to) {
            return true;
        }
        if (!seen.add(from)) {
            return false;
        }
        if (from.kind() instanceof RegionKind.Alias(MemoryRegion target)
                && reaches(target, to, seen)) {
            return true;
        }
        for (MemoryRegion child : state(from).children()) {
            if (reaches(child, to, seen)) {
                return true;
            }
        }
        return false;
    }
}
