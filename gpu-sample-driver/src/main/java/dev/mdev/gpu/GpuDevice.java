package dev.mdev.gpu;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;

import java.util.List;

/// One mediated device: a GPU of its own, as its guest sees it.
///
/// | region | what | how guests reach it |
/// |---|---|---|
/// | BAR 0 | VRAM; its size is rounded up to a power of two, what is past the VRAM is a guard | lazily mapped |
/// | BAR 2 | one page of registers | trapped |
final class GpuDevice implements MdevDevice {
    static final int VRAM_BAR = 0;
    static final int REGISTER_BAR = 2;

    private final Vram vram;
    private final List<RegionInfo> regions;
    private final GpuRegisters registers;

    GpuDevice(Vram vram) {
        this.vram = vram;
        this.registers = new GpuRegisters(Page.bytesOf(vram.npages()));
        this.regions =
                List.of(
                        RegionInfo.of(VRAM_BAR, "vram", barBytes(vram), RegionArea.Kind.LAZY),
                        RegionInfo.of(
                                REGISTER_BAR, "registers", Page.SIZE, RegionArea.Kind.TRAPPED));
    }

    private static long barBytes(Vram vram) {
        long bytes = Page.bytesOf(vram.npages());
        long highest = Long.highestOneBit(bytes);
        return highest == bytes ? bytes : highest << 1;
    }

    @Override
    public List<RegionInfo> regions() {
        return regions;
    }

    @Override
    public MapDecision validateMapRequest(MapRequest request) {
        if (request.region() == VRAM_BAR) {
            return vram.decide(request);
        }
        return new MapDecision.Trap();
    }

    @Override
    public long read(int region, long offsetBytes, int widthBytes) {
        return region == REGISTER_BAR ? registers.read((int) offsetBytes, widthBytes) : 0;
    }

    @Override
    public void write(int region, long offsetBytes, int widthBytes, long value) {
        if (region == REGISTER_BAR) {
            registers.write((int) offsetBytes, widthBytes, value);
        }
    }

    @Override
    public void reset() {
        registers.reset();
        vram.scrub();
    }

    @Override
    public void close() {
        // Nothing outlives the device: the host takes the share back and scrubs it.
    }
}
