package dev.mdev.core.topology;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.addr.HvaRange;
import dev.mdev.core.memslot.Memslot;
import dev.mdev.core.memslot.SlotFlags;
import dev.mdev.core.memslot.UserMemoryRegion;
import dev.mdev.core.topology.RegionModel.Hit;
import dev.mdev.core.topology.RegionModel.Node;
import dev.mdev.core.topology.RegionModel.Way;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/// A small random topology with two address spaces, its model, and the slots that follow it.
final class TopologyWorld {
    private static final int PAGES = 40;
    private static final int PAGE = 0x1000;

    /// Devices are placed at multiples of this, so that pages are cut.
    private static final int GRAIN = 0x400;

    private static final long HVA = 0x7000_0000_0000L;

    /// What a guest finds in a page: where its memory is and how it may be used.
    private record Backing(long hva, int flags) {
        static final Backing NONE = new Backing(0, -1);
    }

    private final SplittableRandom random;
    private final Topology topology = new Topology();
    private final RegionModel model = new RegionModel();
    private final SlotBench bench = new SlotBench();
    private final SlotPolicy policy;
    private final List<Node> roots = new ArrayList<>();
    private final List<Recorder> recorders = new ArrayList<>();
    private final List<TopologySpace> spaces = new ArrayList<>();
    private final List<MemslotListener> listeners = new ArrayList<>();
    private final List<List<Memslot>> known = new ArrayList<>(List.of(List.of(), List.of()));
    private Backing[][] before = nothing();
    private Backing[][] after = nothing();

    TopologyWorld(SplittableRandom random) {
        this.random = random;
        this.policy =
                new SlotPolicy(
                        2 * PAGES,
                        pick(List.of(2L, 5L, 1000L)),
                        random.nextInt(4) > 0,
                        random.nextInt(4) > 0);
        makeRegions();
        for (int asId = 0; asId < 2; asId++) {
            attach(asId);
        }
        bench.whileRunning = this::checkNoHole;
    }

    int slotCount() {
        return bench.slots.active(0).size() + bench.slots.active(1).size();
    }

    /// Some random edits, then every check.
    void transact() {
        before = after;
        Runnable undo = model.save();
        try {
            topology.edit(edit -> {
                for (int i = random.nextInt(4); i >= 0; i--) {
                    editOnce(edit);
                }
                after = resolveAll();
            });
            checkUntouched(0);
            checkUntouched(1);
        } catch (MdevException refusal) {
            // Only the model's own slot limit may refuse here.
            assertThat(refusal.errno()).isEqualTo(Errno.ENOSPC);
            undo.run();
            after = before;
        }
        check();
    }

    /// The same, with the request after `passed` others refused.
    ///
    /// @return whether there was one to refuse
    boolean transactAndRefuse(int passed) {
        Runnable undo = model.save();
        Backing[][] kept = after;
        List<FlatView> views = spaces.stream().map(TopologySpace::view).toList();
        // While a refused change is undone, a guest may see either state.
        bench.whileRunning = () -> {};
        bench.refuseAfter = passed;
        boolean refused = false;
        try {
            topology.edit(edit -> {
                editOnce(edit);
                editOnce(edit);
                after = resolveAll();
            });
        } catch (MdevException refusal) {
            assertThat(refusal.getSuppressed()).isEmpty();
            refused = true;
            undo.run();
            after = kept;
            assertThat(spaces.stream().map(TopologySpace::view).toList()).isEqualTo(views);
        }
        bench.refuseAfter = SlotBench.NEVER;
        check();
        return refused;
    }

    private void makeRegions() {
        for (int i = 0; i < 2; i++) {
            roots.add(model.add(MemoryRegion.wholeSpace(topology, "root" + i), null));
        }
        for (int i = 0; i < 3; i++) {
            model.add(MemoryRegion.container(topology, "container" + i, bytes(PAGE)), null);
        }
        for (int i = 0; i < 4; i++) {
            // Ranges touch, so that the memory of two regions may run on.
            HvaRange host = HvaRange.ofPages(HVA + 4L * i * PAGE, i < 3 ? 4 : 16);
            model.add(MemoryRegion.ram(topology, "ram" + i, host), null);
        }
        model.add(MemoryRegion.rom(topology, "rom", HvaRange.ofPages(HVA + 0x100000, 4)), null);
        model.add(
                MemoryRegion.romDevice(topology, "flash", HvaRange.ofPages(HVA + 0x200000, 3)),
                null);
        for (int i = 0; i < 3; i++) {
            model.add(MemoryRegion.mmio(topology, "mmio" + i, bytes(GRAIN)), null);
        }
        for (int i = 0; i < 6; i++) {
            Node target = pick(model.nodes);
            long offsetBytes = (long) random.nextInt(6) * PAGE;
            Node alias =
                    model.add(
                            MemoryRegion.alias(
                                    "alias" + i, target.region, offsetBytes, bytes(GRAIN)),
                            target);
            alias.aliasOffsetBytes = offsetBytes;
        }
    }

    private long bytes(int unit) {
        return (1L + random.nextInt(12 * PAGE / unit)) * unit;
    }

    private void attach(int asId) {
        MemoryRegion root = roots.get(asId).region;
        Recorder recorder = new Recorder();
        MemslotListener listener = new MemslotListener(asId, policy, bench, bench);
        recorders.add(recorder);
        listeners.add(listener);
        // The recorder hears the same view through an address space of its own.
        topology.attach("recorded" + asId, root, recorder);
        spaces.add(topology.attach("as" + asId, root, listener));
    }

    private void editOnce(TopologyEdit edit) {
        Node node = pick(model.nodes);
        switch (random.nextInt(10)) {
            case 0, 1 -> addOrRemove(edit, node);
            case 2, 3 -> move(edit, node);
            case 4 -> {
                node.enabled = random.nextInt(4) > 0;
                edit.setEnabled(node.region, node.enabled);
            }
            case 5 -> {
                node.readonly = random.nextInt(3) == 0;
                edit.setReadonly(node.region, node.readonly);
            }
            case 6 -> changeMode(edit, node);
            case 7 -> {
                boolean on = random.nextBoolean();
                set(node.log, DirtyClient.DISPLAY, on);
                edit.setLog(node.region, DirtyClient.DISPLAY, on);
            }
            case 8 -> {
                node.mergeable = random.nextInt(3) > 0;
                edit.setMergeable(node.region, node.mergeable);
            }
            default -> {
                boolean on = random.nextInt(3) == 0;
                set(model.globalLog, DirtyClient.MIGRATION, on);
                edit.setGlobalLog(DirtyClient.MIGRATION, on);
            }
        }
    }

    private static void set(Collection<DirtyClient> clients, DirtyClient client, boolean on) {
        if (on) {
            clients.add(client);
        } else {
            clients.remove(client);
        }
    }

    private void addOrRemove(TopologyEdit edit, Node node) {
        if (node.parent != null) {
            if (random.nextInt(3) == 0) {
                edit.remove(node.region);
                node.parent = null;
            }
            return;
        }
        Node parent = random.nextBoolean() ? pick(roots) : pick(model.nodes);
        if (parent.region.kind() instanceof RegionKind.Mmio) {
            // It may lie anywhere within a page, and memory in it could not be mapped.
            return;
        }
        long offsetBytes = offsetFor(node);
        int priority = random.nextInt(4) - 1;
        try {
            edit.add(parent.region, node.region, offsetBytes, priority);
            model.place(node, parent, offsetBytes, priority);
        } catch (MdevException refusal) {
            // An alias as parent, or a circle.
            assertThat(refusal.errno()).isIn(Errno.EINVAL, Errno.EDEADLK);
        }
    }

    private void move(TopologyEdit edit, Node node) {
        Node parent = node.parent;
        if (parent == null) {
            return;
        }
        long offsetBytes = offsetFor(node);
        edit.setOffset(node.region, offsetBytes);
        if (node.offsetBytes != offsetBytes) {
            model.place(node, parent, offsetBytes, node.priority);
        }
    }

    private void changeMode(TopologyEdit edit, Node node) {
        if (node.target != null) {
            node.aliasOffsetBytes = (long) random.nextInt(8) * PAGE;
            edit.setAliasOffset(node.region, node.aliasOffsetBytes);
        } else if (node.region.kind() instanceof RegionKind.RomDevice) {
            node.romMode = random.nextBoolean();
            edit.setRomMode(node.region, node.romMode);
        }
    }

    private long offsetFor(Node node) {
        return node.region.kind() instanceof RegionKind.Mmio
                ? (long) random.nextInt(PAGES * PAGE / GRAIN) * GRAIN
                : (long) random.nextInt(PAGES) * PAGE;
    }

    private <T> T pick(List<T> list) {
        return list.get(random.nextInt(list.size()));
    }

    private void check() {
        for (int asId = 0; asId < 2; asId++) {
            FlatView view = spaces.get(asId).view();
            checkView(roots.get(asId), view);
            assertThat(recorders.get(asId).view()).isEqualTo(view);
            checkSlots(asId);
        }
        assertThat(bench.held).isFalse();
    }

    private void checkView(Node root, FlatView view) {
        for (long gpa = 0; gpa < (long) PAGES * PAGE; gpa += GRAIN) {
            Hit hit = model.resolve(root, gpa);
            FlatRange range = view.find(gpa).orElse(null);
            if (hit == null || range == null) {
                assertThat(range == null).as("gpa=0x%x", gpa).isEqualTo(hit == null);
                continue;
            }
            Hit found =
                    new Hit(
                            hit.node(),
                            range.offsetBytes() + (gpa - range.firstGpa()),
                            hit.way(),
                            range.logClients());
            assertThat(range.readonly()).as("gpa=0x%x", gpa).isEqualTo(hit.way().readonly());
            assertThat(range.mergeable()).as("gpa=0x%x", gpa).isEqualTo(hit.way().mergeable());
            assertThat(range.region()).as("gpa=0x%x", gpa).isSameAs(hit.node().region);
            assertThat(found).as("gpa=0x%x", gpa).isEqualTo(hit);
        }
        for (int i = 1; i < view.ranges().size(); i++) {
            FlatRange left = view.ranges().get(i - 1);
            FlatRange right = view.ranges().get(i);
            assertThat(left.lastGpa()).isLessThan(right.firstGpa());
            assertThat(left.joins(right)).isFalse();
        }
    }

    /// A slot that is wanted before and after was not touched: its object is the same.
    private void checkUntouched(int asId) {
        Map<UserMemoryRegion, Memslot> now = new HashMap<>();
        bench.slots.active(asId).forEach(slot -> now.put(placeOf(slot), slot));
        for (Memslot slot : known.get(asId)) {
            Memslot same = now.get(placeOf(slot));
            if (same != null && same.flags() == slot.flags()) {
                assertThat(same).isSameAs(slot);
            }
        }
        known.set(asId, List.copyOf(now.values()));
    }

    private static UserMemoryRegion placeOf(Memslot slot) {
        UserMemoryRegion region = slot.region();
        return new UserMemoryRegion(0, 0, region.gpa(), region.sizeBytes(), region.hva());
    }

    private void checkSlots(int asId) {
        assertThat(backings(asId)).isEqualTo(after[asId]);
        List<Memslot> slots = new ArrayList<>();
        bench.slots.active(asId).forEach(slots::add);
        assertThat(slots.stream().map(Memslot::region).toList())
                .containsExactlyInAnyOrderElementsOf(listeners.get(asId).slots());
        assertThat(slots).allMatch(slot -> slot.npages() <= policy.maxSlotPages());
    }

    /// A page that a guest finds backed before and after is backed at every moment in between, by
    /// what was or by what will be.
    private void checkNoHole() {
        for (int asId = 0; asId < 2; asId++) {
            Backing[] now = backings(asId);
            for (int page = 0; page < PAGES; page++) {
                assertThat(now[page])
                        .as("as=%d page=%d", asId, page)
                        .isIn(before[asId][page], after[asId][page]);
            }
        }
    }

    private Backing[] backings(int asId) {
        Backing[] backings = new Backing[PAGES];
        for (int gfn = 0; gfn < PAGES; gfn++) {
            Memslot slot = bench.slots.active(asId).find(gfn);
            backings[gfn] =
                    slot == null ? Backing.NONE : new Backing(slot.hvaOf(gfn), slot.flags());
        }
        return backings;
    }

    private Backing[][] resolveAll() {
        Backing[][] backings = new Backing[2][PAGES];
        for (int asId = 0; asId < 2; asId++) {
            for (int page = 0; page < PAGES; page++) {
                backings[asId][page] = resolvePage(roots.get(asId), page);
            }
        }
        return backings;
    }

    private static Backing[][] nothing() {
        Backing[][] backings = new Backing[2][PAGES];
        for (Backing[] row : backings) {
            Arrays.fill(row, Backing.NONE);
        }
        return backings;
    }

    /// The memory behind a page, if all of the page is one run of it.
    private Backing resolvePage(Node root, int page) {
        Backing[] grains = new Backing[PAGE / GRAIN];
        Way way = null;
        for (int grain = 0; grain < grains.length; grain++) {
            Hit hit = model.resolve(root, (long) page * PAGE + (long) grain * GRAIN);
            Backing backing = hit == null ? Backing.NONE : backingOf(hit);
            if (backing.equals(Backing.NONE) || hit == null) {
                return Backing.NONE;
            }
            if (way != null && !way.joins(hit.way())) {
                return Backing.NONE;
            }
            way = hit.way();
            grains[grain] = new Backing(backing.hva - (long) grain * GRAIN, backing.flags);
        }
        return Arrays.stream(grains).allMatch(grains[0]::equals) ? grains[0] : Backing.NONE;
    }

    private Backing backingOf(Hit hit) {
        boolean writable = false;
        long hva;
        switch (hit.node().region.kind()) {
            case RegionKind.Ram(HvaRange host) -> {
                hva = host.startHva();
                writable = !hit.way().readonly();
            }
            case RegionKind.Smram _ -> throw new AssertionError("not in this world");
            case RegionKind.Rom(HvaRange host) -> hva = host.startHva();
            case RegionKind.RomDevice(HvaRange host) -> {
                if (!hit.node().romMode) {
                    return Backing.NONE;
                }
                hva = host.startHva();
            }
            case RegionKind.Mmio _, RegionKind.Container _, RegionKind.Alias _ -> {
                return Backing.NONE;
            }
        }
        if (!writable && !policy.readonlySlots()) {
            return Backing.NONE;
        }
        int flags = writable ? 0 : SlotFlags.READONLY;
        flags |= hit.log().isEmpty() ? 0 : SlotFlags.LOG_DIRTY_PAGES;
        return new Backing(hva + hit.offsetBytes(), flags);
    }
}
