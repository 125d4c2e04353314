package dev.mdev.core.vm;

import dev.mdev.core.engine.DoorbellPort;
import dev.mdev.core.topology.FlatRange;
import dev.mdev.core.topology.FlatView;
import dev.mdev.core.topology.MemoryRegion;
import dev.mdev.core.topology.MemslotListener;
import dev.mdev.core.topology.TopologyListener;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/// What processors of a machine see, in one of their modes: memory slots, and what answers accesses
/// without memory.
///
/// With slots that can be hidden, both modes have the same slots: those of the mode that sees all.
///
/// While slots change, an access without a slot finds only what is there before and after: an
/// access to a BAR that was just removed must not reach it, and one to a BAR that comes goes
/// nowhere until its memory is there.
final class GuestSpace implements TopologyListener {
    private final Map<MemoryRegion, Port> ports;
    private final MmioBus mmio = new MmioBus();
    private final @Nullable MemslotListener slots;
    private final Consumer<List<DoorbellPort>> doorbells;

    /// @param slots its memory slots, or null if another space has them
    /// @param ports what answers accesses to a region; regions without one are memory or nothing
    /// @param doorbells gets the places of all doorbells when they change
    GuestSpace(
            @Nullable MemslotListener slots,
            Map<MemoryRegion, Port> ports,
            Consumer<List<DoorbellPort>> doorbells) {
        this.ports = ports;
        this.doorbells = doorbells;
        this.slots = slots;
    }

    /// What answers accesses to a region of the tree.
    ///
    /// @param offsetBytes the target's offset at the region's first byte
    record Port(MmioBus.Target target, long offsetBytes) {}

    /// Its accesses without memory.
    MmioBus mmio() {
        return mmio;
    }

    @Override
    public void commit(FlatView view) {
        List<MmioBus.Window> before = mmio.windows();
        List<MmioBus.Window> after = windowsOf(view);
        boolean done = false;
        setWindows(common(before, after));
        try {
            if (slots != null) {
                slots.commit(view);
            }
            done = true;
        } finally {
            setWindows(done ? after : before);
        }
    }

    /// Doorbells are where the windows are; a store that the engine does not catch finds the
    /// window.
    private void setWindows(List<MmioBus.Window> windows) {
        mmio.setWindows(windows);
        doorbells.accept(MmioBus.doorbellsIn(windows));
    }

    private List<MmioBus.Window> windowsOf(FlatView view) {
        List<MmioBus.Window> windows = new ArrayList<>();
        for (FlatRange range : view.ranges()) {
            Port port = ports.get(range.region());
            if (port != null) {
                windows.add(
                        new MmioBus.Window(
                                range.firstGpa(),
                                range.lastGpa() - range.firstGpa() + 1,
                                port.target,
                                port.offsetBytes + range.offsetBytes()));
            }
        }
        return windows;
    }

    /// What both show at the same addresses. Both are ascending and disjoint.
    static List<MmioBus.Window> common(List<MmioBus.Window> these, List<MmioBus.Window> others) {
        List<MmioBus.Window> common = new ArrayList<>();
        int i = 0;
        int j = 0;
        while (i < these.size() && j < others.size()) {
            MmioBus.Window one = these.get(i);
            MmioBus.Window other = others.get(j);
            long gpa = Math.max(one.gpa(), other.gpa());
            long endGpa = Math.min(one.endGpa(), other.endGpa());
            if (gpa < endGpa
                    && one.target().equals(other.target())
                    && one.offsetOf(gpa) == other.offsetOf(gpa)) {
                common.add(new MmioBus.Window(gpa, endGpa - gpa, one.target(), one.offsetOf(gpa)));
            }
            if (one.endGpa() <= other.endGpa()) {
                i++;
            } else {
                j++;
            }
        }
        return common;
    }
}
