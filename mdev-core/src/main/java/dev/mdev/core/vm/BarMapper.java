package dev.mdev.core.vm;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.MdevException;
import dev.mdev.api.RegionArea;
import dev.mdev.api.page.Page;
import dev.mdev.core.addr.GfnRange;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.pci.BarWindow;

import org.jspecify.annotations.Nullable;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.locks.ReentrantLock;

/// Keeps a machine's memory slots and MMIO windows consistent with the configuration spaces of its
/// devices.
///
/// A thread that changed a device's configuration space calls [#settle] for that device, which
/// reads it again: the last caller completes the requests of several threads, and no thread waits
/// for a request to another device. Where ranges overlap, [VisibleBars] decides.
///
/// Slots are removed before mappings: when a BAR is no longer decoded, its slots are deleted first
/// and then the driver's grants are revoked, as VFIO does when memory decoding is turned off. A BAR
/// that moves keeps its mappings.
final class BarMapper {
    private final AddressSpaces slots;
    private final HostMm mm;
    private final MmioBus mmio;
    private final List<VisibleBars.Fixed> fixed;
    private final List<MmioBus.Window> fixedWindows;
    private final CopyOnWriteArrayList<AttachedDevice> devices = new CopyOnWriteArrayList<>();

    private final ReentrantLock layout = new ReentrantLock();

    @GuardedBy("layout")
    private List<BarClaim> claims = List.of();

    @GuardedBy("layout")
    private Set<MmioBus.Window> windows = Set.of();

    @GuardedBy("layout")
    private final BarSlots barSlots;

    @GuardedBy("layout")
    private long nextOrder;

    /// @param fixed ranges without visible BARs
    /// @param fixedWindows other windows, inside `fixed`
    /// @param firstSlot the lowest slot number for BARs
    BarMapper(
            Machine machine,
            List<VisibleBars.Fixed> fixed,
            List<MmioBus.Window> fixedWindows,
            int firstSlot) {
        this.slots = machine.slots;
        this.mm = machine.mm;
        this.mmio = machine.mmio;
        this.fixed = fixed;
        this.fixedWindows = fixedWindows;
        barSlots = new BarSlots(slots, firstSlot);
        mmio.setWindows(fixedWindows);
    }

    /// The parts of the machine that a guest access goes through.
    record Machine(AddressSpaces slots, HostMm mm, MmioBus mmio) {}

    /// The devices whose BARs it manages.
    List<AttachedDevice> devices() {
        return devices;
    }

    void add(AttachedDevice device) {
        devices.add(device);
    }

    /// Removes a device. When this returns, no access of the guest reaches it.
    void remove(AttachedDevice device) {
        devices.remove(device);
        settle(device);
    }

    /// Updates slots and windows to a device's configuration space. The caller holds no lock:
    /// drivers may get notice of removed pinned memory, and requests for eager areas.
    void settle(AttachedDevice device) {
        Settlement settlement = new Settlement(device);
        changeWithoutPins(settlement);
        for (MappedArea area : settlement.plan.eager) {
            area.device().assignment().populate(mm, area.vma());
        }
    }

    /// Starts or stops logging the writes to mapped areas, including areas that appear later.
    void setLogging(boolean on) {
        layout.lock();
        try {
            barSlots.setLogging(on);
        } finally {
            layout.unlock();
        }
    }

    private final class Settlement implements PinRelease.Change {
        private final AttachedDevice device;
        private Plan plan = Plan.NOTHING;

        Settlement(AttachedDevice device) {
            this.device = device;
        }

        @Override
        public List<GfnRange> leaving() {
            plan = plan(device);
            return plan.leaving;
        }

        @Override
        public void make() {
            apply(plan);
        }
    }

    /// Changes slots when no device has pins in the removed memory. The caller holds no lock.
    void changeWithoutPins(PinRelease.Change change) {
        new PinRelease(devices, layout).run(change);
    }

    /// A pending change.
    ///
    /// @param pieces the place of each slot
    /// @param leaving frames that slots leave
    /// @param gone regions that are no longer decoded
    /// @param eager areas to map now that they are reachable
    private record Plan(
            List<BarClaim> claims,
            Set<MmioBus.Window> windows,
            Map<BarSlots.Piece, Long> pieces,
            List<GfnRange> leaving,
            List<MappedArea> gone,
            List<MappedArea> eager) {
        static final Plan NOTHING =
                new Plan(List.of(), Set.of(), Map.of(), List.of(), List.of(), List.of());
    }

    private Plan plan(AttachedDevice device) {
        layout.lock();
        try {
            return planLocked(device);
        } finally {
            layout.unlock();
        }
    }

    @GuardedBy("layout")
    private Plan planLocked(AttachedDevice device) {
        List<BarClaim> next = claimsLocked(device);
        Set<MmioBus.Window> nextWindows = new HashSet<>(fixedWindows);
        Map<BarSlots.Piece, Long> pieces = new LinkedHashMap<>();
        for (VisibleBars.Part part : VisibleBars.of(fixed, next)) {
            nextWindows.add(
                    new MmioBus.Window(
                            part.gpa(),
                            part.sizeBytes(),
                            part.claim().device().target(part.claim().window().region()),
                            part.offsetBytes()));
            addPieces(part, pieces);
        }
        return new Plan(
                next,
                nextWindows,
                pieces,
                barSlots.leaving(pieces),
                areasOfOnly(claims, next),
                areasOfOnly(next, claims).stream()
                        .filter(area -> area.area().kind() == RegionArea.Kind.EAGER)
                        .toList());
    }

    /// The windows of all devices, with the current windows of one device. A window in its old
    /// place keeps its order; a window that appears or moves comes last, and so lies above the
    /// others.
    @GuardedBy("layout")
    private List<BarClaim> claimsLocked(AttachedDevice device) {
        List<BarClaim> next = new ArrayList<>();
        for (BarClaim claim : claims) {
            if (claim.device() != device) {
                next.add(claim);
            }
        }
        if (devices.contains(device)) {
            for (BarWindow window : device.function().config().windows()) {
                BarClaim before = claimOfLocked(device, window);
                next.add(before != null ? before : new BarClaim(device, window, nextOrder++));
            }
        }
        return next;
    }

    @GuardedBy("layout")
    private @Nullable BarClaim claimOfLocked(AttachedDevice device, BarWindow window) {
        for (BarClaim claim : claims) {
            if (claim.isSameWindow(device, window)) {
                return claim;
            }
        }
        return null;
    }

    /// The slots of a visible part: its whole pages of mapped areas.
    private static void addPieces(VisibleBars.Part part, Map<BarSlots.Piece, Long> pieces) {
        BarClaim claim = part.claim();
        for (MappedArea mapped : claim.device().areas(claim.window().region())) {
            long areaStart = mapped.area().offsetBytes();
            long start = Math.max(part.offsetBytes(), areaStart);
            long end = Math.min(part.offsetBytes() + part.sizeBytes(), mapped.area().endBytes());
            start = Page.baseOf(start + Page.OFFSET_MASK);
            end = Page.baseOf(end);
            if (start < end) {
                pieces.put(
                        new BarSlots.Piece(
                                claim.device(), mapped.vma(), start - areaStart, end - start),
                        claim.window().gpa() + start);
            }
        }
    }

    /// The mapped areas of regions that are in the first list only.
    private static List<MappedArea> areasOfOnly(List<BarClaim> these, List<BarClaim> others) {
        return these.stream()
                .filter(claim -> others.stream().noneMatch(claim::isSameRegion))
                .flatMap(claim -> claim.device().areas(claim.window().region()).stream())
                .toList();
    }

    private void apply(Plan plan) {
        layout.lock();
        try {
            applyLocked(plan);
        } finally {
            layout.unlock();
        }
    }

    @GuardedBy("layout")
    private void applyLocked(Plan plan) {
        // An access without slot and window goes nowhere, which is correct while a BAR moves; an
        // access to the window of a removed BAR would reach it.
        Set<MmioBus.Window> staying = new HashSet<>(windows);
        staying.retainAll(plan.windows);
        staying.addAll(fixedWindows);
        mmio.setWindows(staying);
        Map<AttachedDevice, MdevException> failures = barSlots.apply(plan.pieces);
        for (MappedArea area : plan.gone) {
            area.device().assignment().zap(mm, area.vma());
        }
        mmio.setWindows(plan.windows);
        windows = plan.windows;
        claims = plan.claims;
        for (AttachedDevice device : devices) {
            device.setMappingFailure(failures.get(device));
        }
    }
}
