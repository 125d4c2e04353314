package dev.mdev.vfiouser;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.engine.barfile.BarFile;
import dev.mdev.core.hostmm.FaultResult;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;

import org.jspecify.annotations.Nullable;

import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Accesses to a device's regions by messages.
///
/// In a mapped area, a message reaches the pages that the driver grants, through the same fault as
/// a guest's own access. Elsewhere, and where the driver traps, it is a register access. While
/// memory decoding is off, BARs read as ones and ignore writes, as on a bus.
///
/// The memory of a physical device may vanish, and no file of ours has its pages: a client gets no
/// file of such a BAR, so all of its accesses are messages.
///
/// Used by the session's thread.
final class RegionAccessor implements AutoCloseable {
    private static final int MAX_REGISTER_BYTES = 8;

    private final MdevAssignment assignment;
    private final PciFunction function;
    private final HostMm mm;
    private final BarFiles source;

    /// Whether only copies reach the device's memory, because it may vanish.
    private final boolean isGuarded;

    private final Map<Integer, Region> regions = new HashMap<>();
    private final int indexes;

    /// A mapped area.
    ///
    /// @param vma where it is reserved here; null if a file has it
    /// @param hva its first address in `mm`
    private record Area(RegionArea area, @Nullable Vma vma, HostMm mm, long hva) {
        boolean overlaps(long offsetBytes, long lengthBytes) {
            return offsetBytes < area.endBytes() && area.offsetBytes() < offsetBytes + lengthBytes;
        }

        boolean contains(long offsetBytes) {
            return offsetBytes >= area.offsetBytes() && offsetBytes < area.endBytes();
        }

        long hvaOf(long offsetBytes) {
            return hva + offsetBytes - area.offsetBytes();
        }
    }

    private record Region(RegionInfo info, @Nullable BarFile file, List<Area> areas) {
        boolean touchesArea(long offsetBytes, long lengthBytes) {
            for (int i = 0; i < areas.size(); i++) {
                if (areas.get(i).overlaps(offsetBytes, lengthBytes)) {
                    return true;
                }
            }
            return false;
        }

        @Nullable Area areaAt(long offsetBytes) {
            for (int i = 0; i < areas.size(); i++) {
                if (areas.get(i).contains(offsetBytes)) {
                    return areas.get(i);
                }
            }
            return null;
        }
    }

    /// @param mm host addresses of the areas without a file
    /// @param source of the files
    RegionAccessor(MdevAssignment assignment, PciFunction function, HostMm mm, BarFiles source) {
        this.assignment = assignment;
        this.function = function;
        this.mm = mm;
        this.source = source;
        this.isGuarded =
                mm.memory()
                        .blockOf(assignment.mdev().parent().aperturePfns().firstPfn())
                        .isGuarded();
        int highest = RegionInfo.VGA;
        try {
            for (RegionInfo info : function.regions()) {
                regions.put(info.index(), open(info));
                highest = Math.max(highest, info.index());
            }
        } catch (RuntimeException | Error e) {
            close();
            throw e;
        }
        indexes = highest + 1;
    }

    private Region open(RegionInfo info) {
        List<RegionArea> mapped =
                info.isBar()
                        ? info.areas().stream()
                                .filter(area -> area.kind() != RegionArea.Kind.TRAPPED)
                                .toList()
                        : List.of();
        if (mapped.isEmpty()) {
            return new Region(info, null, List.of());
        }
        BarFile file = isGuarded ? null : source.open(assignment, info).orElse(null);
        if (file != null) {
            return new Region(info, file, mapped.stream().map(area -> areaOf(area, file)).toList());
        }
        return new Region(info, null, mapped.stream().map(area -> areaOf(info, area)).toList());
    }

    private static Area areaOf(RegionArea area, BarFile file) {
        return new Area(area, null, file.hostMm(), file.hvaOf(area.offsetBytes()));
    }

    private Area areaOf(RegionInfo info, RegionArea area) {
        Vma vma = assignment.map(mm, info, area);
        return new Area(area, vma, mm, vma.range().startHva());
    }

    /// The file that a client may map, or null if the region is trapped.
    @Nullable BarFile file(int index) {
        Region region = regions.get(index);
        return region == null ? null : region.file;
    }

    /// The region of an index, or null if it has no bytes.
    @Nullable RegionInfo info(int index) {
        Region region = regions.get(index);
        return region == null ? null : region.info;
    }

    /// One more than the highest index.
    int indexes() {
        return indexes;
    }

    /// Reads.
    ///
    /// @throws MdevException EINVAL outside the region; otherwise the driver's error
    void read(RegionBytes transfer) {
        access(transfer, Access.READ);
    }

    /// Writes; otherwise as [#read].
    void write(RegionBytes transfer) {
        access(transfer, Access.WRITE);
    }

    private void access(RegionBytes transfer, Access access) {
        Region region = regionOf(transfer);
        long offset = transfer.offsetBytes();
        int length = transfer.lengthBytes();
        if (length == 0) {
            return;
        }
        if (length <= MAX_REGISTER_BYTES && !region.touchesArea(offset, length)) {
            register(region, transfer, access, 0, length);
            return;
        }
        boolean decoded = !region.info.isBar() || function.config().decodesMemory();
        int done = 0;
        while (done < length) {
            Area area = decoded ? region.areaAt(offset + done) : null;
            done +=
                    area == null
                            ? registers(region, transfer, access, done)
                            : inArea(region, area, transfer, access, done);
        }
    }

    private Region regionOf(RegionBytes transfer) {
        Region region = transfer.region() < indexes() ? regions.get((int) transfer.region()) : null;
        long offset = transfer.offsetBytes();
        if (region == null
                || offset < 0
                || transfer.lengthBytes() > region.info.sizeBytes()
                || offset > region.info.sizeBytes() - transfer.lengthBytes()) {
            throw new MdevException(
                    Errno.EINVAL,
                    "no such bytes: region=%d offset=0x%x lengthBytes=%d"
                            .formatted(transfer.region(), offset, transfer.lengthBytes()));
        }
        return region;
    }

    /// One register access of a longer transfer, as wide as its place allows.
    ///
    /// @return its width
    private int registers(Region region, RegionBytes transfer, Access access, int done) {
        long offset = transfer.offsetBytes() + done;
        int rest = transfer.lengthBytes() - done;
        int width = MAX_REGISTER_BYTES;
        while (width > rest || (offset & (width - 1)) != 0) {
            width >>= 1;
        }
        register(region, transfer, access, done, width);
        return width;
    }

    private void register(Region region, RegionBytes transfer, Access access, int done, int width) {
        int index = region.info.index();
        long offset = transfer.offsetBytes() + done;
        long at = transfer.atBytes() + done;
        if (access == Access.READ) {
            Wire.store(transfer.memory(), at, width, number(index, offset, width));
        } else {
            long value = Wire.load(transfer.memory(), at, width);
            var _ = value(store(index, offset, width, value));
        }
    }

    private long number(int index, long offset, int width) {
        return index == RegionInfo.CONFIG
                ? function.readConfig((int) offset, width)
                : value(load(index, offset, width));
    }

    private RegionAccess load(int index, long offset, int width) {
        // Clients read the ROM once, and keep it: they must not find it turned off.
        RegionAccess outcome =
                index == RegionInfo.ROM
                        ? assignment.read(index, offset, width)
                        : function.readIfDecoded(index, offset, width);
        return outcome == null ? new RegionAccess.Done(-1) : outcome;
    }

    private RegionAccess store(int index, long offset, int width, long value) {
        RegionAccess outcome =
                index == RegionInfo.CONFIG
                        ? function.write(index, offset, width, value)
                        : function.writeIfDecoded(index, offset, width, value);
        return outcome == null ? new RegionAccess.Done(0) : outcome;
    }

    private static long value(RegionAccess outcome) {
        return switch (outcome) {
            case RegionAccess.Done done -> done.value();
            case RegionAccess.Failed failed -> throw failed.refusal().toException();
        };
    }

    /// The part of a transfer that is in one page of a mapped area.
    ///
    /// @return its length
    private int inArea(Region region, Area area, RegionBytes transfer, Access access, int done) {
        long offset = transfer.offsetBytes() + done;
        int length = Math.min(transfer.lengthBytes() - done, Page.SIZE - Page.offsetOf(offset));
        long at = transfer.atBytes() + done;
        MemorySegment buffer = transfer.memory();
        FaultResult stop =
                isGuarded
                        ? copy(area, offset, access, buffer.asSlice(at, length))
                        : area.mm.withPage(
                                area.hvaOf(offset),
                                access,
                                true,
                                (memory, inMemory) -> {
                                    if (access == Access.READ) {
                                        move(memory, inMemory, buffer, at, length);
                                    } else {
                                        move(buffer, at, memory, inMemory, length);
                                    }
                                });
        return switch (stop) {
            case null -> length;
            case FaultResult.Trapped _ -> registers(region, transfer, access, done);
            case FaultResult.Failed failed -> throw failed.refusal().toException();
            case FaultResult.Mapped _ -> throw new IllegalStateException("mapped, and not run");
        };
    }

    private static @Nullable FaultResult copy(
            Area area, long offset, Access access, MemorySegment part) {
        return access == Access.READ
                ? area.mm.readPage(area.hvaOf(offset), true, part)
                : area.mm.writePage(area.hvaOf(offset), true, part);
    }

    /// As one access where a processor would make one.
    private static void move(
            MemorySegment from, long fromAt, MemorySegment to, long toAt, int length) {
        if (length <= MAX_REGISTER_BYTES && Integer.bitCount(length) == 1) {
            Wire.store(to, toAt, length, Wire.load(from, fromAt, length));
        } else {
            MemorySegment.copy(from, fromAt, to, toAt, length);
        }
    }

    /// Maps the eager areas, as far as the driver grants them.
    void populate() {
        for (Region region : regions.values()) {
            for (Area area : region.areas) {
                Vma vma = area.vma;
                if (vma != null && area.area.kind() == RegionArea.Kind.EAGER) {
                    assignment.populate(mm, vma);
                }
            }
        }
    }

    @Override
    public void close() {
        for (Region region : regions.values()) {
            if (region.file != null) {
                region.file.close();
            }
            for (Area area : region.areas) {
                Vma vma = area.vma;
                if (vma != null) {
                    assignment.unmap(vma);
                }
            }
        }
    }
}
