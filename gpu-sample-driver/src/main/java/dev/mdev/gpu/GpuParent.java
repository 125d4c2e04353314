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
import java.util.stream.Stream;

/// One GPU.
///
///     aperture:  | VRAM: vram-mib                       | doorbells: 1 a device | fences: 1 a device | sines |
///     pools:     | vram (handed out in steps of 1 MiB)  | doorbell              | fence              | sines |
///
/// @param sines the page that all devices of this GPU share
/// @param engine the engine that all devices of this GPU share
record GpuParent(
        String name,
        GpuSettings settings,
        Aperture aperture,
        List<ResourcePool> pools,
        Sines sines,
        Engine engine)
        implements ParentDevice {
    static final String VRAM = "vram";
    static final String DOORBELL = Doorbell.POOL;
    static final String FENCE = FencePage.POOL;

    /// VRAM is handed out in steps of 1 MiB, in any number of extents.
    static final long VRAM_STEP_PAGES = Page.countFor(1 << 20);

    /// An elastic type guarantees this part of its maximum.
    static final int ELASTICITY = 4;

    /// Elastic VRAM comes and goes in pieces of 64 KiB.
    private static final long UNIT_PAGES = 16;

    static GpuParent allocate(String name, GpuSettings settings, ParentHost host, Engine engine) {
        long vramPages = settings.vramMib() * VRAM_STEP_PAGES;
        // As many as the maximum number of devices of the smallest type.
        long devices = Math.max(1, settings.vramMib() / settings.leastMib());
        Aperture aperture = host.allocateAperture(name, vramPages + 2 * devices + 1);
        PfnRange vram = new PfnRange(aperture.pfns().firstPfn(), vramPages);
        PfnRange doorbells = new PfnRange(vram.endPfn(), devices);
        PfnRange fences = new PfnRange(doorbells.endPfn(), devices);
        PfnRange sines = new PfnRange(fences.endPfn(), 1);
        List<ResourcePool> pools =
                List.of(
                        new ResourcePool(VRAM, vram),
                        new ResourcePool(DOORBELL, doorbells),
                        new ResourcePool(FENCE, fences),
                        new ResourcePool(Sines.POOL, sines));
        return new GpuParent(name, settings, aperture, pools, Sines.in(aperture, sines), engine);
    }

    @Override
    public String description() {
        return "Sample GPU with " + settings.vramMib() + " MiB of VRAM";
    }

    @Override
    public List<MdevType> types() {
        int all = settings.vramMib();
        Stream<MdevType> fixed =
                settings.typesMib().stream().filter(mib -> mib <= all).map(mib -> typeOf(mib, all));
        Stream<MdevType> elastic =
                settings.elasticMib().stream()
                        .filter(mib -> mib / ELASTICITY <= all)
                        .map(mib -> elasticTypeOf(mib, all));
        return Stream.concat(fixed, elastic).toList();
    }

    private static MdevType typeOf(int mib, int allMib) {
        return typeOf(
                "gpu-sample-" + mib + "m",
                "Sample GPU, " + mib + " MiB",
                mib + " MiB of VRAM, one doorbell page",
                new MdevType.Demand(VRAM, mib * VRAM_STEP_PAGES, VRAM_STEP_PAGES, false),
                allMib / mib);
    }

    private static MdevType elasticTypeOf(int mib, int allMib) {
        int least = mib / ELASTICITY;
        return typeOf(
                "gpu-sample-elastic-" + mib + "m",
                "Sample GPU, up to " + mib + " MiB",
                "up to %d MiB of VRAM, %d of them guaranteed, one doorbell page"
                        .formatted(mib, least),
                MdevType.Demand.elastic(
                        VRAM, least * VRAM_STEP_PAGES, mib * VRAM_STEP_PAGES, UNIT_PAGES),
                allMib / least);
    }

    private static MdevType typeOf(
            String id, String title, String description, MdevType.Demand vram, int maxInstances) {
        return new MdevType(
                        id,
                        title,
                        description,
                        MdevType.VFIO_PCI,
                        List.of(
                                vram,
                                new MdevType.Demand(DOORBELL, 1, 1, true),
                                new MdevType.Demand(FENCE, 1, 1, true)),
                        maxInstances)
                .sharing(Sines.POOL);
    }

    @Override
    public MdevDevice create(MdevContext context) {
        return new GpuDevice(this, context);
    }

    @Override
    public void close() {
        engine.close();
    }
}
