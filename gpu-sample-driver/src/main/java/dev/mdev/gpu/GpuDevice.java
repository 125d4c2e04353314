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
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// One mediated device: a GPU of its own, as its guest sees it.
///
/// | region | what | how guests reach it |
/// |---|---|---|
/// | BAR 0 | VRAM; its size is rounded up to a power of two, and what is past the VRAM is a guard | [Vram], mapped as it is touched |
/// | BAR 2 | a page of registers for the display | [MmioPage], trapped |
/// | BAR 4 page 0 | the doorbell | [Doorbell], mapped straight through |
/// | BAR 4 page 1 | a page of registers for the queue | [CommandQueue], trapped |
///
/// The host may be unable to map, as when the machine monitor of the guest does not: then accesses
/// to mappable areas come here too.
final class GpuDevice implements MdevDevice, Display, DeviceState {
    static final int VRAM_BAR = 0;
    static final int MMIO_BAR = 2;
    static final int QUEUE_BAR = 4;

    /// Offset of the queue's registers in BAR 4.
    static final int QUEUE_PAGE = Page.SIZE;

    /// QEMU's standard VGA without the legacy part, which guests have drivers for: vendor and
    /// device, a display controller that is no VGA, and the revision from which on it has the byte
    /// order register.
    private static final PciIdentity IDENTITY =
            new PciIdentity(0x1234, 0x1111, 0x03_8000, 2, 0x1AF4, 0x1100);

    /// A message, since the legacy line has machine monitors unmap BARs at each interrupt.
    private static final IrqInfo IRQS = new IrqInfo(false, 1, 0);

    private static final int STATE_VERSION = 1;

    private final Engine engine;
    private final Vram vram;
    private final MmioPage mmio;
    private final Doorbell doorbell;
    private final CommandQueue queue;
    private final List<RegionInfo> regions;
    private boolean stopped;

    GpuDevice(Aperture aperture, MdevContext context, GpuSettings settings, Engine engine) {
        this.engine = engine;
        this.vram = new Vram(aperture, context.share(GpuParent.VRAM), settings);
        this.mmio = new MmioPage(vram);
        this.doorbell = new Doorbell(aperture, context);
        this.queue = new CommandQueue(weightFor(vram.sizeBytes()), vram, doorbell, context);
        this.regions = regionsFor(vram.sizeBytes());
        engine.add(queue);
    }

    private static List<RegionInfo> regionsFor(long vramBytes) {
        long highest = Long.highestOneBit(vramBytes);
        long barBytes = highest == vramBytes ? vramBytes : highest << 1;
        return List.of(
                RegionInfo.of(VRAM_BAR, "vram", barBytes, RegionArea.Kind.LAZY),
                RegionInfo.of(MMIO_BAR, "mmio", Page.SIZE, RegionArea.Kind.TRAPPED),
                new RegionInfo(
                        QUEUE_BAR,
                        "queue",
                        2 * Page.SIZE,
                        List.of(new RegionArea(0, Page.SIZE, RegionArea.Kind.LAZY))));
    }

    /// A share of the engine as large as that of the VRAM: 1 for 16 MiB, 2 for 32 MiB, and so on.
    private static int weightFor(long vramBytes) {
        return (int) Math.max(1, Long.highestOneBit(vramBytes) >> 24);
    }

    @Override
    public List<RegionInfo> regions() {
        return regions;
    }

    @Override
    public PciIdentity identity() {
        return IDENTITY;
    }

    @Override
    public IrqInfo irqs() {
        return IRQS;
    }

    @Override
    public MapDecision validateMapRequest(MapRequest request) {
        return switch (request.region()) {
            case VRAM_BAR -> vram.decide(request);
            case QUEUE_BAR -> {
                MapDecision decision = doorbell.decide(request);
                engine.wake();
                yield decision;
            }
            default -> new MapDecision.Trap();
        };
    }

    @Override
    public long read(int region, long offsetBytes, int widthBytes) {
        return switch (region) {
            case VRAM_BAR -> readVram(offsetBytes, widthBytes);
            case MMIO_BAR -> mmio.read((int) offsetBytes, widthBytes);
            default ->
                    isInDoorbell(offsetBytes, widthBytes)
                            ? doorbell.read((int) offsetBytes, widthBytes)
                            : queue.read((int) offsetBytes - QUEUE_PAGE, widthBytes);
        };
    }

    @Override
    public void write(int region, long offsetBytes, int widthBytes, long value) {
        switch (region) {
            case VRAM_BAR -> writeVram(offsetBytes, widthBytes, value);
            case MMIO_BAR -> mmio.write((int) offsetBytes, widthBytes, value);
            default -> {
                if (isInDoorbell(offsetBytes, widthBytes)) {
                    doorbell.write((int) offsetBytes, widthBytes, value);
                } else {
                    queue.write((int) offsetBytes - QUEUE_PAGE, widthBytes, value);
                }
                engine.wake();
            }
        }
    }

    /// @throws MdevException EINVAL for an access to both pages: no instruction of a guest makes
    ///   one
    private static boolean isInDoorbell(long offsetBytes, int widthBytes) {
        if (offsetBytes < QUEUE_PAGE && offsetBytes + widthBytes > QUEUE_PAGE) {
            throw new MdevException(Errno.EINVAL, "offsetBytes=0x%x".formatted(offsetBytes));
        }
        return offsetBytes < QUEUE_PAGE;
    }

    private long readVram(long offsetBytes, int widthBytes) {
        requireVram(offsetBytes, widthBytes);
        byte[] bytes = new byte[Long.BYTES];
        vram.read(offsetBytes, MemorySegment.ofArray(bytes).asSlice(0, widthBytes));
        return MemorySegment.ofArray(bytes).get(Command.LONG, 0);
    }

    private void writeVram(long offsetBytes, int widthBytes, long value) {
        requireVram(offsetBytes, widthBytes);
        byte[] bytes = new byte[Long.BYTES];
        MemorySegment.ofArray(bytes).set(Command.LONG, 0, value);
        vram.write(offsetBytes, MemorySegment.ofArray(bytes).asSlice(0, widthBytes));
    }

    private void requireVram(long offsetBytes, int widthBytes) {
        if (offsetBytes > vram.sizeBytes() - widthBytes) {
            throw new MdevException(
                    Errno.EACCES, "past the end of VRAM: offsetBytes=0x%x".formatted(offsetBytes));
        }
    }

    @Override
    public Optional<Display> display() {
        return Optional.of(this);
    }

    @Override
    public Optional<Picture> picture() {
        return mmio.picture();
    }

    @Override
    public Map<String, Long> counters() {
        Map<String, Long> counters = new HashMap<>(queue.counters());
        counters.put("vram_used_pages", (long) vram.usedPages());
        return counters;
    }

    @Override
    public boolean isMovable() {
        return true;
    }

    /// The host has stopped the device, so the engine does not work in its pages.
    @Override
    public void shareMoved(List<PoolShare> share) {
        vram.moveTo(in(share, GpuParent.VRAM));
        doorbell.moveTo(in(share, GpuParent.DOORBELL));
    }

    private static PoolShare in(List<PoolShare> share, String pool) {
        return share.stream().filter(part -> part.pool().equals(pool)).findFirst().orElseThrow();
    }

    @Override
    public void reset() {
        queue.pause();
        try {
            vram.reset();
            queue.reset();
            mmio.reset();
        } finally {
            queue.unpause();
        }
    }

    @Override
    public void close() {
        // For good: the engine may hold on to the queue for a moment longer.
        queue.pause();
        engine.remove(queue);
    }

    @Override
    public Optional<DeviceState> state() {
        return Optional.of(this);
    }

    @Override
    public void stop() {
        if (!stopped) {
            queue.pause();
            stopped = true;
        }
    }

    @Override
    public void resume() {
        if (stopped) {
            stopped = false;
            queue.unpause();
            engine.wake();
        }
    }

    @Override
    public int version() {
        return STATE_VERSION;
    }

    @Override
    public void save(DataOutput out) throws IOException {
        mmio.save(out);
        queue.save(out);
        vram.save(out);
    }

    @Override
    public void restore(int version, DataInput in) throws IOException {
        if (version != STATE_VERSION) {
            throw new MdevException(Errno.EINVAL, "version=" + version);
        }
        mmio.restore(in);
        queue.restore(in);
        vram.restore(in);
    }
}
