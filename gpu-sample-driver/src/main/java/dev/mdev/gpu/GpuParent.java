package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentHost;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;

import java.util.List;

/// One GPU.
///
///     aperture:  | VRAM: vram-mib                                | doorbells: 1 page a device |
///     pools:     | vram (handed out in steps of 1 MiB)           | doorbell                   |
final class GpuParent implements ParentDevice {
    static final String VRAM = "vram";
    static final String DOORBELL = "doorbell";

    /// VRAM is handed out in steps of 1 MiB, in as many extents as it takes.
    static final long VRAM_STEP_PAGES = Page.countFor(1 << 20);

    private final String name;
    private final GpuSettings settings;
    private final Aperture aperture;
    private final Engine engine;
    private final List<ResourcePool> pools;
    private final List<MdevType> types;

    private GpuParent(String name, GpuSettings settings, Aperture aperture, Engine engine) {
        this.name = name;
        this.engine = engine;
        this.settings = settings;
        this.aperture = aperture;
        long firstPfn = aperture.pfns().firstPfn();
        long vramPages = pagesOfMib(settings.vramMib());
        this.pools =
                List.of(
                        new ResourcePool(VRAM, new PfnRange(firstPfn, vramPages)),
                        new ResourcePool(
                                DOORBELL, new PfnRange(firstPfn + vramPages, doorbells(settings))));
        this.types =
                settings.typesMib().stream()
                        .filter(mib -> mib <= settings.vramMib())
                        .map(mib -> typeOf(mib, settings.vramMib() / mib))
                        .toList();
    }

    static GpuParent allocate(String name, GpuSettings settings, ParentHost host, Engine engine) {
        long npages = pagesOfMib(settings.vramMib()) + doorbells(settings);
        return new GpuParent(name, settings, host.allocateAperture(name, npages), engine);
    }

    /// The engine that all devices of this GPU share.
    Engine engine() {
        return engine;
    }

    /// As many as there can be devices of the smallest type.
    private static long doorbells(GpuSettings settings) {
        return Math.max(1, settings.vramMib() / settings.typesMib().getFirst());
    }

    private static long pagesOfMib(int mib) {
        return mib * VRAM_STEP_PAGES;
    }

    private static MdevType typeOf(int mib, int maxInstances) {
        return new MdevType(
                "gpu-sample-" + mib + "m",
                "Sample GPU, " + mib + " MiB",
                mib + " MiB of VRAM, one doorbell page",
                MdevType.VFIO_PCI,
                List.of(
                        new MdevType.Demand(VRAM, pagesOfMib(mib), VRAM_STEP_PAGES, false),
                        new MdevType.Demand(DOORBELL, 1, 1, true)),
                maxInstances);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String description() {
        return "Sample GPU with " + settings.vramMib() + " MiB of VRAM";
    }

    @Override
    public Aperture aperture() {
        return aperture;
    }

    @Override
    public List<ResourcePool> pools() {
        return pools;
    }

    @Override
    public List<MdevType> types() {
        return types;
    }

    @Override
    public MdevDevice create(MdevContext context) {
        return new GpuDevice(aperture, context, settings, engine);
    }

    @Override
    public void close() {
        engine.close();
    }
}
