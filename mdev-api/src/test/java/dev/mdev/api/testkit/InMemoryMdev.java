package dev.mdev.api.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;

import java.util.List;
import java.util.UUID;

/// A mediated device in the host in memory: its context, and the host's side of its callbacks.
public final class InMemoryMdev implements MdevContext, AutoCloseable {
    /// 32 MiB of guest memory.
    private static final int RAM_PAGES = 8192;

    private final InMemoryParent parent;
    private final UUID uuid;
    private final MdevType type;
    private final List<PoolShare> share;
    private final Callbacks callbacks;
    private final GuestMappings mappings = new GuestMappings();
    private final SimulatedGuest guest = new SimulatedGuest(this);
    private final SimulatedRam ram;
    private final RecordedInterrupts interrupts;
    private final MdevDevice device;
    private final List<RegionInfo> regions;
    private volatile boolean closed;

    InMemoryMdev(InMemoryParent parent, UUID uuid, MdevType type, List<PoolShare> share) {
        this.parent = parent;
        this.uuid = uuid;
        this.type = type;
        this.share = List.copyOf(share);
        this.ram = new SimulatedRam(parent.host(), RAM_PAGES);
        this.interrupts = new RecordedInterrupts(parent.host());
        this.callbacks = parent.host().newCallbacks("mdev-" + uuid);
        this.device = parent.callbacks().call("create type=" + type.id(), this::createDevice);
        this.regions = callbacks.call("regions", device::regions);
        interrupts.announce(callbacks.call("irqs", device::irqs));
    }

    private MdevDevice createDevice() {
        return parent.device().create(this);
    }

    @Override
    public UUID uuid() {
        return uuid;
    }

    @Override
    public MdevType type() {
        return type;
    }

    @Override
    public List<PoolShare> share() {
        return share;
    }

    @Override
    public void revoke(int region, long firstPage, long npages) {
        if (region < 0 || firstPage < 0 || npages < 1) {
            throw parent.host()
                    .violation(
                            "revoke region=%d firstPage=%d npages=%d"
                                    .formatted(region, firstPage, npages));
        }
        if (closed) {
            throw parent.host().violation("revoke after close of " + uuid);
        }
        mappings.revoke(region, firstPage, npages);
    }

    @Override
    public SimulatedRam guestMemory() {
        return ram;
    }

    @Override
    public RecordedInterrupts interrupts() {
        return interrupts;
    }

    /// Takes guest memory away from the device: tells the driver, then unpins by force.
    ///
    /// @return pins that the driver did not let go of
    public int unmapDma(long iova, long lengthBytes) {
        ram.remove(Page.numberOf(iova), Page.countFor(lengthBytes));
        callbacks.run("dmaUnmapped", () -> device.dmaUnmapped(iova, lengthBytes));
        return ram.forceUnpin(iova, lengthBytes);
    }

    /// The driver's device, for tests of what only this driver has.
    public MdevDevice device() {
        return device;
    }

    /// The guest that has the device.
    public SimulatedGuest guest() {
        return guest;
    }

    /// The regions, as the driver named them at creation.
    public List<RegionInfo> regions() {
        return regions;
    }

    /// Pages of a region that are mapped now.
    public long mappedPages(int region) {
        return mappings.count(region);
    }

    /// Resets the device, as a guest or the host may at any time.
    public void reset() {
        mappings.clear();
        callbacks.run("reset", device::reset);
    }

    /// Removes the device: mappings go, the driver is told, the share is scrubbed and free again.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        mappings.clear();
        try {
            callbacks.run("close", device::close);
        } finally {
            closed = true;
            ram.close();
            interrupts.close();
            callbacks.close();
            parent.removed(this);
        }
    }

    GuestMappings mappings() {
        return mappings;
    }

    SparseAperture aperture() {
        return parent.aperture();
    }

    RegionInfo region(int index) {
        return regions.stream()
                .filter(region -> region.index() == index)
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("region=" + index));
    }

    long trap(int region, long offsetBytes, int widthBytes, Access access, long value) {
        String what =
                "%s region=%d offset=0x%x width=%d"
                        .formatted(access, region, offsetBytes, widthBytes);
        return switch (access) {
            case READ -> callbacks.call(what, () -> device.read(region, offsetBytes, widthBytes));
            case WRITE -> {
                callbacks.run(what, () -> device.write(region, offsetBytes, widthBytes, value));
                yield 0;
            }
        };
    }

    /// Puts a request to the driver, checks the answer, and maps what was granted.
    MapDecision ask(MapRequest request) {
        GuestMappings.Ticket ticket = mappings.ask(request.region());
        try {
            MapDecision decision =
                    callbacks.call(request.toString(), () -> device.validateMapRequest(request));
            return switch (decision) {
                case MapDecision.Grant grant -> install(ticket, request, grant);
                case MapDecision.Trap trap -> trap;
                case MapDecision.Deny deny -> deny;
            };
        } finally {
            mappings.drop(ticket);
        }
    }

    private MapDecision install(
            GuestMappings.Ticket ticket, MapRequest request, MapDecision.Grant grant) {
        GrantRules.firstBroken(request, grant, share)
                .ifPresent(rule -> {
                    throw parent.host().violation(rule + ": " + request + " " + grant);
                });
        GuestMappings.Installed installed = mappings.install(ticket, grant, request.page());
        return switch (installed) {
            case YES, REVOKED_MEANWHILE -> grant;
            case CONFLICT ->
                    throw parent.host()
                            .violation(
                                    "the grant moves a page that is mapped and was not revoked: "
                                            + request
                                            + " "
                                            + grant);
        };
    }
}
