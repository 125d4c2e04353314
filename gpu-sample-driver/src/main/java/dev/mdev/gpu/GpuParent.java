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
///     aperture:  | VRAM: vram-mib                       | doorbells: 1 a device | fences: 1 a device |
///     pools:     | vram (handed out in steps of 1 MiB)  | doorbell              | fence              |
///
/// @param engine the engine that all devices of this GPU share
record GpuParent(
        String name,
        GpuSettings settings,
        Aperture aperture,
        List<ResourcePool> pools,
        Engine engine)
        implements ParentDevice {
    static final String VRAM = "vram";
    static final String DOORBELL = Doorbell.POOL;
    static final String FENCE = FencePage.POOL;

    /// VRAM is handed out in steps of 1 MiB, in any number of extents.
    static final long VRAM_STEP_PAGES = Page.countFor(1 << 20);

    static GpuParent allocate(String name, GpuSettings settings, ParentHost host, Engine engine) {
        long vramPages = settings.vramMib() * VRAM_STEP_PAGES;
        // As many as the maximum number of devices of the smallest type.
        long devices = Math.max(1, settings.vramMib() / settings.typesMib().getFirst());
        Aperture aperture = host.allocateAperture(name, vramPages + 2 * devices);
        PfnRange vram = new PfnRange(aperture.pfns().firstPfn(), vramPages);
        PfnRange doorbells = new PfnRange(vram.endPfn(), devices);
        PfnRange fences = new PfnRange(doorbells.endPfn(), devices);
        List<ResourcePool> pools =
                List.of(
                        new ResourcePool(VRAM, vram),
                        new ResourcePool(DOORBELL, doorbells),
                        new ResourcePool(FENCE, fences));
        return new GpuParent(name, settings, aperture, pools, engine);
    }

    @Override
    public String description() {
        return "Sample GPU with " + settings.vramMib() + " MiB of VRAM";
    }

    @Override
    public List<MdevType> types() {
        return settings.typesMib().stream()
                .filter(mib -> mib <= settings.vramMib())
                .map(mib -> typeOf(mib, settings.vramMib() / mib))
                .toList();
    }

    private static MdevType typeOf(int mib, int maxInstances) {
        return new MdevType(
                "gpu-sample-" + mib + "m",
                "Sample GPU, " + mib + " MiB",
                mib + " MiB of VRAM, one doorbell page",
                MdevType.VFIO_PCI,
                List.of(
                        new MdevType.Demand(VRAM, mib * VRAM_STEP_PAGES, VRAM_STEP_PAGES, false),
                        new MdevType.Demand(DOORBELL, 1, 1, true),
                        new MdevType.Demand(FENCE, 1, 1, true)),
                maxInstances);
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
