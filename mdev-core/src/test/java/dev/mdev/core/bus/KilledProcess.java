package dev.mdev.core.bus;

import dev.mdev.api.Aperture;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.PoolExtent;
import dev.mdev.core.device.Parent;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.store.DirectoryFiles;

import java.io.IOException;
import java.io.PrintStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.UUID;

/// A process that makes and removes devices until it is killed. The memory of its card is a mapped
/// file, which the kernel keeps when the process goes.
///
/// It prints a line for each verb, and `LEAK` or `BROKEN` for what must not be. Arguments: the
/// directory, the seed.
final class KilledProcess implements ParentDriver {
    static final int PAGES = 64;

    private final Aperture aperture;
    private final PrintStream out;

    private KilledProcess(MemorySegment memory, PrintStream out) {
        this.aperture = new Mapped(memory);
        this.out = out;
    }

    public static void main(String[] args) throws IOException {
        Path directory = Path.of(args[0]);
        SplittableRandom random = new SplittableRandom(Long.parseLong(args[1]));
        try (FileChannel channel =
                        FileChannel.open(
                                directory.resolve("vram"),
                                StandardOpenOption.CREATE,
                                StandardOpenOption.READ,
                                StandardOpenOption.WRITE);
                HostMemory host = new HostMemory(new OffHeapBackend())) {
            MemorySegment memory =
                    channel.map(
                            FileChannel.MapMode.READ_WRITE, 0, Page.bytesOf(PAGES), Arena.global());
            MdevBus bus =
                    new MdevBus(
                            host,
                            new DirectoryFiles(directory.resolve("state")),
                            BusOptions.of(Duration.ofSeconds(30), new Watcher()));
            KilledProcess driver = new KilledProcess(memory, System.out);
            bus.addDriver(driver, Map.of());
            driver.check(bus, memory);
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
    private void check(MdevBus bus, MemorySegment memory) {
        if (!bus.quarantined().isEmpty()) {
            out.println("BROKEN " + bus.quarantined());
        }
        for (PoolExtent extent : bus.parent("gpu0").extents("vram")) {
            boolean free = extent.use() == PoolExtent.Use.FREE;
            long offset = Page.addressOf(extent.firstPage());
            if (free && !isZero(memory.asSlice(offset, Page.bytesOf(extent.npages())))) {
                out.println("LEAK free " + extent);
            }
        }
    }

    static boolean isZero(MemorySegment memory) {
        for (long i = 0; i < memory.byteSize(); i += Long.BYTES) {
            if (memory.get(ValueLayout.JAVA_LONG_UNALIGNED, i) != 0) {
                return false;
            }
        }
        return true;
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
        return List.of(new Parent());
    }

    /// Memory of a card in a file.
    record Mapped(MemorySegment memory) implements Aperture {
        @Override
        public PfnRange pfns() {
            return new PfnRange(0x5000, Page.numberOf(memory.byteSize()));
        }

        @Override
        public void read(long offsetBytes, MemorySegment destination) {
            MemorySegment.copy(memory, offsetBytes, destination, 0, destination.byteSize());
        }

        @Override
        public void write(long offsetBytes, MemorySegment source) {
            MemorySegment.copy(source, 0, memory, offsetBytes, source.byteSize());
        }

        @Override
        public void fill(long offsetBytes, long lengthBytes, byte value) {
            memory.asSlice(offsetBytes, lengthBytes).fill(value);
        }
    }

    private final class Parent implements ParentDevice {
        @Override
        public String name() {
            return "gpu0";
        }

        @Override
        public String description() {
            return "a card in a file";
        }

        @Override
        public Aperture aperture() {
            return aperture;
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("vram", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            return List.of(type("t5", 5), type("t16", 16));
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

        @Override
        public List<ExistingDevice> existing() {
            return List.of();
        }

        @Override
        public MdevDevice create(MdevContext context) {
            for (PoolShare pool : context.share()) {
                for (PfnRange extent : pool.extents()) {
                    long offset = Page.addressOf(extent.firstPfn() - aperture.pfns().firstPfn());
                    MemorySegment pages =
                            MemorySegment.ofArray(new byte[(int) Page.bytesOf(extent.npages())]);
                    aperture.read(offset, pages);
                    if (!isZero(pages)) {
                        out.println("LEAK given " + extent);
                    }
                    aperture.fill(offset, pages.byteSize(), (byte) 0x5a);
                }
            }
            return new Device();
        }

        @Override
        public void close() {}
    }

    private static final class Device implements MdevDevice {
        @Override
        public List<RegionInfo> regions() {
            return List.of();
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return new MapDecision.Deny("nothing is mapped here");
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            return 0;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {}

        @Override
        public void reset() {}

        @Override
        public void close() {}
    }
}
