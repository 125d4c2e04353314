package dev.mdev.core.topology;

import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.memslot.UserMemoryRegion;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/// Makes the memory slots of one address space follow its view (QEMU `kvm_region_commit` and what
/// it calls).
///
/// RAM becomes a slot, ROM and a ROM device in ROM mode become a read-only slot, everything else
/// has no slot. The listener plans all requests before it makes the first. If one is refused, it
/// undoes the earlier ones in reverse order, and throws the refusal.
///
/// QEMU deletes and creates; this moves a slot whose memory is wanted at another address. This
/// holds vCPUs when an addition overlaps a deletion, and also while it gathers the log of a slot
/// that it will delete, so that no write is lost. A read-only alias of RAM becomes a read-only
/// slot.
///
/// The topology calls it with its lock held. Any thread may call [#slots].
public final class MemslotListener implements TopologyListener {
    private final int asId;
    private final SlotPolicy policy;
    private final SlotPort port;
    private final VcpuPause pause;

    /// The port's slots, by id.
    private final NavigableMap<Integer, SlotImage> current = new TreeMap<>();

    private volatile List<UserMemoryRegion> slots = List.of();

    /// @param asId the address space's number, the high half of its slots' numbers
    public MemslotListener(int asId, SlotPolicy policy, SlotPort port, VcpuPause pause) {
        this.asId = asId;
        this.policy = policy;
        this.port = port;
        this.pause = pause;
    }

    /// The slots as of the last commit, in the order of their ids.
    public List<UserMemoryRegion> slots() {
        return slots;
    }

    /// The guest frames whose slots would be deleted or moved if the address space showed `view`.
    /// Called by the thread that will make the change, with the lock under which it does.
    public List<GfnRange> leaving(FlatView view) {
        List<GfnRange> frames = new ArrayList<>();
        for (SlotStep step : planFor(view).steps()) {
            SlotImage before = step.before();
            if (before != null && step.vacates()) {
                frames.add(before.gfns());
            }
        }
        return frames;
    }

    @Override
    public void commit(FlatView view) {
        try {
            carryOut(planFor(view));
        } finally {
            slots = regions();
        }
    }

    private SlotPlan planFor(FlatView view) {
        return SlotPlan.of(current, SlotLayout.of(view.ranges(), policy), policy);
    }

    private void carryOut(SlotPlan plan) {
        if (plan.needsPause()) {
            try (VcpuPause.Hold _ = pause.hold()) {
                carryOut(plan.steps());
            }
        } else {
            carryOut(plan.steps());
        }
    }

    private void carryOut(List<SlotStep> steps) {
        List<SlotStep> done = new ArrayList<>();
        try {
            for (SlotStep step : steps) {
                if (step.dropsLog() && step.before() != null) {
                    port.collectDirty(step.before().region(slotNumber(step.id())));
                }
                carryOut(step);
                done.add(step);
            }
        } catch (RuntimeException | Error refusal) {
            undo(done, refusal);
            throw refusal;
        }
    }

    private void undo(List<SlotStep> done, Throwable refusal) {
        for (SlotStep step : done.reversed()) {
            try {
                carryOut(step.inverse());
            } catch (RuntimeException | Error alsoRefused) {
                refusal.addSuppressed(alsoRefused);
            }
        }
    }

    private void carryOut(SlotStep step) {
        port.set(step.request(asId));
        remember(step.id(), step.after());
    }

    private void remember(int id, @Nullable SlotImage image) {
        if (image == null) {
            current.remove(id);
        } else {
            current.put(id, image);
        }
    }

    private List<UserMemoryRegion> regions() {
        List<UserMemoryRegion> regions = new ArrayList<>();
        for (Map.Entry<Integer, SlotImage> entry : current.entrySet()) {
            regions.add(entry.getValue().region(slotNumber(entry.getKey())));
        }
        return List.copyOf(regions);
    }

    private int slotNumber(int id) {
        return UserMemoryRegion.slotNumber(asId, id);
    }
}
