package dev.mdev.core.bus;

import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.store.DirectoryFiles;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;

/// A process that makes and removes devices until it is killed.
///
/// It prints a line for each verb, and `LEAK` or `BROKEN` for what must not be. Arguments: the
/// directory, the seed.
final class KilledProcess implements ParentDriver {
    private static final int PAGES = 64;

    private final FileCard card;
    private final PrintStream out;

    private KilledProcess(FileCard card, PrintStream out) {
        this.card = card;
        this.out = out;
    }

    public static void main(String[] args) throws IOException {
        Path directory = Path.of(args[0]);
        SplittableRandom random = new SplittableRandom(Long.parseLong(args[1]));
        FileCard card = FileCard.open(directory.resolve("vram"), PAGES);
        try (HostMemory host = new HostMemory(new OffHeapBackend())) {
            MdevBus bus =
                    new MdevBus(
                            host,
                            new DirectoryFiles(directory.resolve("state")),
                            BusOptions.of(Duration.ofSeconds(30), new Watcher()));
            KilledProcess driver = new KilledProcess(card, System.out);
            bus.addDriver(driver, Map.of());
            driver.check(bus);
            System.out.println("READY");
            while (true) {
                driver.doSomething(bus, random);
            }
        }
    }

    /// Reports what must not happen, ever.
    private static final class Watcher implements MdevObserver {
        @Override
        public void event(MdevEvent event) {
            if (event.fact() instanceof MdevEvent.JournalTrouble
                    || event.fact() instanceof MdevEvent.Lost) {
                System.out.println("BROKEN " + event);
            }
        }
    }

    /// What must hold when a process begins: every definition can be read, free pages are zero.
    private void check(MdevBus bus) {
        if (!bus.quarantined().isEmpty()) {
            out.println("BROKEN " + bus.quarantined());
        }
        for (PoolExtent extent : bus.parent("gpu0").extents("vram")) {
            boolean free = extent.use() == PoolExtent.Use.FREE;
            if (free && !card.isZero(extent.firstPage(), extent.npages())) {
                out.println("LEAK free " + extent);
            }
        }
    }

    private void doSomething(MdevBus bus, SplittableRandom random) {
        UUID uuid = new UUID(14, random.nextInt(8));
        String type = random.nextBoolean() ? "t5" : "t16";
        try {
            switch (random.nextInt(6)) {
                case 0 -> bus.create(uuid, "gpu0", type);
                case 1 -> bus.create(new MdevDefinition(uuid, "gpu0", type, random.nextBoolean()));
                case 2 -> bus.define(new MdevDefinition(uuid, "gpu0", type, false));
                case 3 -> bus.start(uuid);
                case 4 -> bus.stop(uuid, Removal.IF_UNUSED);
                default -> bus.remove(uuid);
            }
            out.println("done " + uuid);
        } catch (MdevException e) {
            out.println("refused " + e);
        }
    }

    @Override
    public String name() {
        return "killed";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return List.of(
                new SimpleParent(
                        "gpu0",
                        "a card in a file",
                        card,
                        List.of(new ResourcePool("vram", card.pfns())),
                        List.of(type("t5", 5), type("t16", 16)),
                        this::create));
    }

    private static MdevType type(String id, long npages) {
        return new MdevType(
                id,
                id,
                id,
                MdevType.VFIO_PCI,
                List.of(new MdevType.Demand("vram", npages, 1, false)),
                100);
    }

    private MdevDevice create(MdevContext context) {
        for (PfnRange extent : context.share("vram").extents()) {
            long page = extent.firstPfn() - card.pfns().firstPfn();
            if (!card.isZero(page, extent.npages())) {
                out.println("LEAK given " + extent);
            }
            card.fill(Page.addressOf(page), Page.bytesOf(extent.npages()), (byte) 0x5a);
        }
        return new BareDevice();
    }
}
