package dev.mdev.core.bus;

import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.store.CrashPlan;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;

/// A physical device that outlives the process: its memory, and, if it is that kind of device, its
/// mediated devices.
public final class Card {
    static final String POOL = "vram";

    private static final byte ALIEN = 0x44;

    /// A user who maps a card's memory gets new page numbers.
    private static final AtomicLong NEXT_PFN = new AtomicLong(0x1000);

    final String name;
    final Vram vram;
    final boolean keepsDevices;
    final List<MdevType> types = new ArrayList<>();

    /// What the hardware knows of; its devices are made and ended by many threads.
    final Map<UUID, Kept> kept = new ConcurrentSkipListMap<>();

    /// A device that the hardware knows of.
    record Kept(String type, List<PoolRuns> share) {}

    /// @param keepsDevices whether devices outlive the process
    public Card(String name, long npages, boolean keepsDevices) {
        this.name = name;
        this.vram = new Vram(npages);
        this.keepsDevices = keepsDevices;
    }

    public Card with(String type, long npages, long alignPages, boolean contiguous) {
        types.add(
                new MdevType(
                        type,
                        type,
                        npages + " pages",
                        MdevType.VFIO_PCI,
                        List.of(new MdevType.Demand(POOL, npages, alignPages, contiguous)),
                        1000));
        return this;
    }

    /// Somebody else makes a device of the first type, and writes into its pages.
    void makeAlien(UUID uuid, long firstPage) {
        MdevType type = types.getFirst();
        long npages = type.demands().getFirst().npages();
        kept.put(
                uuid,
                new Kept(
                        type.id(),
                        List.of(new PoolRuns(POOL, List.of(new ApertureRun(firstPage, npages))))));
        byte[] bytes = new byte[(int) Page.bytesOf(npages)];
        Arrays.fill(bytes, ALIEN);
        vram.mapped(0, new CrashPlan())
                .write(Page.bytesOf(firstPage), MemorySegment.ofArray(bytes));
    }

    /// Whether such a device is as it was made.
    boolean isUntouched(UUID uuid, long firstPage) {
        long bytes = Page.bytesOf(types.getFirst().demands().getFirst().npages());
        for (long i = 0; i < bytes; i++) {
            if (vram.at(Page.bytesOf(firstPage) + i) != ALIEN) {
                return false;
            }
        }
        return kept.containsKey(uuid);
    }

    static long takePfns() {
        return NEXT_PFN.getAndAdd(0x10_0000);
    }

    static List<PoolShare> shareOf(Kept kept, dev.mdev.api.page.PfnRange aperture) {
        return kept.share().stream()
                .map(pool ->
                        new PoolShare(
                                pool.pool(),
                                pool.runs().stream().map(run -> run.pfnsIn(aperture)).toList()))
                .toList();
    }
}
