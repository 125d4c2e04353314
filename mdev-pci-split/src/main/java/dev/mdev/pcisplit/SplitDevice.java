package dev.mdev.pcisplit;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.page.Page;
import dev.mdev.pcisplit.description.Description.DeviceType;
import dev.mdev.pcisplit.description.Description.GuestBar;
import dev.mdev.pcisplit.description.Description.Identity;
import dev.mdev.pcisplit.description.Description.Register;
import dev.mdev.pcisplit.description.Description.RegisterWrite;

import org.jspecify.annotations.Nullable;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/// A device: BARs of areas, each of which is a share of a pool, fixed values, or registers of the
/// function.
///
/// The host may be unable to map: then accesses to shares also come to [#read] and [#write].
final class SplitDevice implements MdevDevice {
    private final SplitParent parent;
    private final DeviceType type;
    private final MdevContext context;
    private final PciIdentity identity;
    private final List<RegionInfo> regions;

    /// Null before the device is complete, and if it has no interrupts.
    private @Nullable InterruptWatch interrupts;

    /// By BAR.
    private final Map<Integer, List<DeviceArea>> areas;

    SplitDevice(SplitParent parent, DeviceType type, MdevContext context) {
        this.parent = parent;
        this.type = type;
        this.context = context;
        this.identity = identityOf(type.identity(), parent.identity());
        this.areas = type.bars().stream().collect(Collectors.toMap(GuestBar::index, this::areasOf));
        this.regions = type.bars().stream().map(this::regionOf).toList();
    }

    private List<DeviceArea> areasOf(GuestBar bar) {
        return bar.areas().stream().map(area -> DeviceArea.of(area, parent, context)).toList();
    }

    private RegionInfo regionOf(GuestBar bar) {
        return new RegionInfo(
                bar.index(),
                bar.name(),
                bar.sizeBytes(),
                areas.getOrDefault(bar.index(), List.of()).stream()
                        .flatMap(area -> area.mapped().stream())
                        .toList());
    }

    private static PciIdentity identityOf(Identity given, PciIdentity own) {
        Map<Identity.Field, Integer> fields = given.fields();
        return new PciIdentity(
                fields.getOrDefault(Identity.Field.VENDOR, own.vendorId()),
                fields.getOrDefault(Identity.Field.DEVICE, own.deviceId()),
                fields.getOrDefault(Identity.Field.CLASS, own.classCode()),
                fields.getOrDefault(Identity.Field.REVISION, own.revision()),
                fields.getOrDefault(Identity.Field.SUBSYSTEM_VENDOR, own.subsystemVendorId()),
                fields.getOrDefault(Identity.Field.SUBSYSTEM, own.subsystemId()));
    }

    @Override
    public List<RegionInfo> regions() {
        return regions;
    }

    @Override
    public PciIdentity identity() {
        return identity;
    }

    @Override
    public IrqInfo irqs() {
        return InterruptWatch.irqs(type.interrupts());
    }

    /// Begins to raise interrupts.
    void watchInterrupts() {
        if (!type.interrupts().isEmpty()) {
            interrupts = InterruptWatch.start(type.interrupts(), parent, context);
        }
    }

    @Override
    public MapDecision validateMapRequest(MapRequest request) {
        String gone = parent.gone();
        if (gone != null) {
            return new MapDecision.Deny(gone);
        }
        long at = Page.addressOf(request.page());
        return areas.getOrDefault(request.region(), List.of()).stream()
                .filter(area -> area.contains(at, 1))
                .findFirst()
                .map(area -> area.decide(request))
                .orElseGet(MapDecision.Trap::new);
    }

    @Override
    public long read(int region, long offsetBytes, int widthBytes) {
        return inArea(
                region,
                offsetBytes,
                widthBytes,
                area -> area.load(offsetBytes - area.atBytes(), widthBytes));
    }

    @Override
    public void write(int region, long offsetBytes, int widthBytes, long value) {
        var _ =
                inArea(
                        region,
                        offsetBytes,
                        widthBytes,
                        area -> {
                            area.store(offsetBytes - area.atBytes(), widthBytes, value);
                            return 0L;
                        });
    }

    /// @return 0 between areas
    /// @throws MdevException ENODEV if the function is gone; EINVAL for an access to two pages: a
    ///   guest's instruction never makes one
    private long inArea(
            int region, long offsetBytes, int widthBytes, Function<DeviceArea, Long> access) {
        parent.requireThere();
        if (Page.offsetOf(offsetBytes) > Page.SIZE - widthBytes) {
            throw new MdevException(Errno.EINVAL, "offsetBytes=0x%x".formatted(offsetBytes));
        }
        try {
            return areas.getOrDefault(region, List.of()).stream()
                    .filter(area -> area.contains(offsetBytes, widthBytes))
                    .findFirst()
                    .map(access)
                    .orElse(0L);
        } catch (MdevException e) {
            // Perhaps because the function is gone, which says more.
            parent.requireAnswer();
            throw e;
        }
    }

    @Override
    public Map<String, Long> counters() {
        Map<String, Long> counters = new HashMap<>();
        counters.put(
                "refused_register_accesses",
                areas.values().stream().flatMap(List::stream).mapToLong(DeviceArea::refused).sum());
        FunctionLine line = parent.line();
        if (line != null) {
            counters.put("function_interrupts", line.received());
        }
        return counters;
    }

    @Override
    public boolean clearedByHost() {
        return true;
    }

    @Override
    public void reset() {
        parent.requireThere();
        if (type.reset().isOfFunction()) {
            parent.resetFunction();
        }
        areas.values().forEach(bar -> bar.forEach(DeviceArea::reset));
        Aperture aperture = parent.memory().aperture();
        for (RegisterWrite write : type.reset().writes()) {
            aperture.store(
                    parent.memory().offsetOf(write.bar(), write.offsetBytes()),
                    write.widthBytes(),
                    write.value() & Register.allOnes(write.widthBytes()));
        }
    }

    /// Takes the guest's mappings: its next access fails. On the thread of the watch.
    void functionGone() {
        for (RegionInfo region : regions) {
            if (!region.areas().isEmpty()) {
                context.revoke(region.index(), 0, region.npages());
            }
        }
        context.report(ReportLevel.ERROR, String.valueOf(parent.gone()));
    }

    @Override
    public void close() {
        InterruptWatch watch = interrupts;
        if (watch != null) {
            watch.close();
        }
        parent.closed(this);
    }
}
