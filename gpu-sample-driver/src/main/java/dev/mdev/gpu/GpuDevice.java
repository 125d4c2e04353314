package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.Display;
import dev.mdev.api.Errno;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PciOptions;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One mediated device: a GPU of its own, as its guest sees it.
///
/// | region | what | how guests reach it |
/// |---|---|---|
/// | BAR 0 | VRAM; its size is rounded up to a power of two, and what is past the VRAM is a guard | [Vram], mapped as it is touched |
/// | BAR 2 | a page of registers for the display | [GpuDisplay], trapped |
/// | BAR 4 page 0 | the doorbell | [Doorbell], mapped straight through |
/// | BAR 4 page 1 | a page of registers for the queue, and the MSI-X table, which is the host's | [CommandQueue], trapped |
/// | BAR 4 page 2 | the last fence | [FencePage], mapped read-only |
/// | BAR 4 page 3 | constants that all devices share | [Sines], mapped read-only |
/// | legacy VGA memory | with the setting `vga`: the start of the VRAM | [VgaWindow]; trapped for elastic VRAM |
///
/// The host may be unable to map, like some machine monitors: then accesses to mappable areas also
/// come here.
final class GpuDevice implements MdevDevice, DeviceState {
    static final int VRAM_BAR = 0;
    static final int MMIO_BAR = 2;
    static final int QUEUE_BAR = Doorbell.BAR;

    static final int DOORBELL_PAGE = Doorbell.PAGE;
    static final int REGISTER_PAGE = 1;
    static final int FENCE_PAGE = 2;
    static final int SINES_PAGE = 3;
    private static final int QUEUE_BAR_PAGES = 4;

    /// The place of the MSI-X table and the pending bits in BAR 4: the second half of the
    /// registers.
    private static final MsixPlacement MSIX = new MsixPlacement(QUEUE_BAR, 0x1800, 0x1C00);

    /// QEMU's standard VGA without the legacy part, which guests have drivers for: vendor and
    /// device, a display controller other than VGA, and the first revision with the byte order
    /// register.
    private static final PciIdentity IDENTITY =
            new PciIdentity(0x1234, 0x1111, 0x03_8000, 2, 0x1AF4, 0x1100);

    /// The same as a VGA controller.
    private static final PciIdentity VGA_IDENTITY =
            new PciIdentity(0x1234, 0x1111, 0x03_0000, 2, 0x1AF4, 0x1100);

    /// A message, because machine monitors unmap BARs at each interrupt of the legacy line.
    private static final IrqInfo IRQS = new IrqInfo(false, 0, 1);

    private static final int STATE_VERSION = 2;

    private final Engine engine;
    private final Vram vram;
    private final GpuDisplay display;
    private final Doorbell doorbell;
    private final FencePage fencePage;
    private final Sines sines;
    private final CommandQueue queue;
    private final List<RegionInfo> regions;
    private final boolean isVga;

    GpuDevice(GpuParent parent, MdevContext context) {
        Aperture aperture = parent.aperture();
        GpuSettings settings = parent.settings();
        this.engine = parent.engine();
        this.sines = parent.sines();
        this.vram = Vram.of(aperture, context, settings);
        this.display = new GpuDisplay(vram);
        this.doorbell = new Doorbell(aperture, context);
        this.fencePage = new FencePage(aperture, context);
        this.queue = new CommandQueue(vram, doorbell, fencePage, context);
        this.isVga = settings.vga();
        this.regions = regionsFor(vram.sizeBytes(), settings.aheadPages(), isVga, vram.isElastic());
        engine.add(queue);
    }

    private static List<RegionInfo> regionsFor(
            long vramBytes, int aheadPages, boolean isVga, boolean isElastic) {
        long highest = Long.highestOneBit(vramBytes);
        long barBytes = highest == vramBytes ? vramBytes : highest << 1;
        List<RegionInfo> regions = new ArrayList<>();
        if (isVga) {
            regions.add(VgaWindow.region(!isElastic));
        }
        regions.addAll(
                List.of(
                        RegionInfo.lazy(VRAM_BAR, "vram", barBytes, aheadPages),
                        RegionInfo.of(MMIO_BAR, "mmio", Page.SIZE, RegionArea.Kind.TRAPPED),
                        new RegionInfo(
                                QUEUE_BAR,
                                "queue",
                                QUEUE_BAR_PAGES * Page.SIZE,
                                List.of(
                                        RegionArea.lazyPages(DOORBELL_PAGE, REGISTER_PAGE),
                                        RegionArea.lazyPages(FENCE_PAGE, QUEUE_BAR_PAGES)))));
        return List.copyOf(regions);
    }

    @Override
    public List<RegionInfo> regions() {
        return regions;
    }

    @Override
    public PciIdentity identity() {
        return isVga ? VGA_IDENTITY : IDENTITY;
    }

    @Override
    public IrqInfo irqs() {
        return IRQS;
    }

    @Override
    public PciOptions pci() {
        return new PciOptions(false, Optional.of(MSIX), List.of());
    }

    @Override
    public MapDecision validateMapRequest(MapRequest request) {
        return switch (request.region()) {
            case VRAM_BAR -> vram.decide(request);
            case QUEUE_BAR -> decideQueuePage(request);
            case RegionInfo.VGA -> VgaWindow.decide(request, vram);
            default -> new MapDecision.Trap();
        };
    }

    private MapDecision decideQueuePage(MapRequest request) {
        return switch ((int) request.page()) {
            case DOORBELL_PAGE -> {
                MapDecision decision = doorbell.decide(request);
                engine.wake();
                yield decision;
            }
            case FENCE_PAGE -> fencePage.decide(request);
            case SINES_PAGE -> sines.decide(request);
            default -> new MapDecision.Trap();
        };
    }

    @Override
    public long read(int region, long offsetBytes, int widthBytes) {
        return switch (region) {
            case VRAM_BAR -> vram.load(insideVram(offsetBytes, widthBytes), widthBytes);
            case MMIO_BAR -> display.read((int) offsetBytes, widthBytes);
            case RegionInfo.VGA -> vram.load(VgaWindow.toVram(offsetBytes), widthBytes);
            default -> {
                int inPage = insidePage(offsetBytes, widthBytes);
                yield switch ((int) Page.numberOf(offsetBytes)) {
                    case DOORBELL_PAGE -> doorbell.content().load(inPage, widthBytes);
                    case REGISTER_PAGE -> queue.read(inPage, widthBytes);
                    case FENCE_PAGE -> fencePage.content().load(inPage, widthBytes);
                    case SINES_PAGE -> sines.load(inPage, widthBytes);
                    default -> throw denied(region, offsetBytes);
                };
            }
        };
    }

    @Override
    public void write(int region, long offsetBytes, int widthBytes, long value) {
        switch (region) {
            case VRAM_BAR -> vram.store(insideVram(offsetBytes, widthBytes), widthBytes, value);
            case MMIO_BAR -> display.write((int) offsetBytes, widthBytes, value);
            case RegionInfo.VGA -> vram.store(VgaWindow.toVram(offsetBytes), widthBytes, value);
            default -> {
                int inPage = insidePage(offsetBytes, widthBytes);
                switch ((int) Page.numberOf(offsetBytes)) {
                    case DOORBELL_PAGE -> doorbell.content().store(inPage, widthBytes, value);
                    case REGISTER_PAGE -> queue.write(inPage, widthBytes, value);
                    default -> throw denied(region, offsetBytes);
                }
                engine.wake();
            }
        }
    }

    private long insideVram(long offsetBytes, int widthBytes) {
        if (offsetBytes > vram.sizeBytes() - widthBytes) {
            throw denied(VRAM_BAR, offsetBytes);
        }
        return offsetBytes;
    }

    /// @throws MdevException EINVAL for an access to two pages: a guest's instruction never makes
    ///   one
    private static int insidePage(long offsetBytes, int widthBytes) {
        int inPage = Page.offsetOf(offsetBytes);
        if (inPage > Page.SIZE - widthBytes) {
            throw new MdevException(Errno.EINVAL, "offsetBytes=0x%x".formatted(offsetBytes));
        }
        return inPage;
    }

    private static MdevException denied(int region, long offsetBytes) {
        return new MdevException(
                Errno.EACCES, "region=%d offsetBytes=0x%x".formatted(region, offsetBytes));
    }

    @Override
    public Optional<Display> display() {
        return Optional.of(display);
    }

    @Override
    public Map<String, Long> counters() {
        Map<String, Long> counters = new HashMap<>(queue.counters());
        counters.putAll(vram.counters());
        return counters;
    }

    @Override
    public boolean isMovable() {
        return true;
    }

    /// The host has stopped the device, so the engine leaves its pages alone.
    @Override
    public void shareMoved(List<PoolShare> share) {
        vram.moveTo(share);
        doorbell.content().moveTo(share);
        fencePage.content().moveTo(share);
    }

    @Override
    public void reset() {
        vram.reset();
        queue.reset();
        display.reset();
    }

    @Override
    public void close() {
        engine.remove(queue);
    }

    @Override
    public Optional<DeviceState> state() {
        return Optional.of(this);
    }

    @Override
    public void stop() {
        engine.remove(queue);
    }

    @Override
    public void resume() {
        engine.add(queue);
        engine.wake();
    }

    @Override
    public int version() {
        return STATE_VERSION;
    }

    @Override
    public void save(DataOutput out) throws IOException {
        display.save(out);
        queue.save(out);
        vram.save(out);
    }

    @Override
    public void restore(int version, DataInput in) throws IOException {
        if (version != STATE_VERSION) {
            throw new MdevException(Errno.EINVAL, "version=" + version);
        }
        display.restore(in);
        queue.restore(in);
        vram.restore(in);
    }
}
