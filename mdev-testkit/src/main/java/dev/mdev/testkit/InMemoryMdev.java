package dev.mdev.testkit;

import dev.mdev.api.Display;
import dev.mdev.api.ElasticMemory;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PciOptions;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.layout.BarLayout;
import dev.mdev.api.layout.DoorbellLayout;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.UUID;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// A mediated device in the in-memory host: its context, and the host's side of its callbacks.
public final class InMemoryMdev implements MdevContext, AutoCloseable {
    /// 32 MiB of guest memory.
    private static final int RAM_PAGES = 8192;

    private final InMemoryParent parent;
    private final UUID uuid;
    private final MdevType type;
    private volatile List<PoolShare> share;
    private final Callbacks callbacks;
    private final GuestMappings mappings;
    private final StepGate steps;
    private final ElasticShares elastic;
    private final SimulatedGuest guest = new SimulatedGuest(this);
    private final SimulatedRam ram;
    private final RecordedInterrupts interrupts;
    private final MdevDevice device;
    private final StateCalls state;
    private final RungDoorbells doorbells;
    private final List<RegionInfo> regions;
    private volatile boolean made;
    private volatile boolean closed;
    private volatile @Nullable String lastReport;
    private @Nullable BarLayout layout;

    /// A device's identity and pages.
    record Identity(UUID uuid, MdevType type, List<PoolShare> share) {}

    /// @param what the call that makes the device, for messages
    InMemoryMdev(
            InMemoryParent parent,
            Identity identity,
            String what,
            Function<MdevContext, MdevDevice> maker) {
        this.parent = parent;
        this.uuid = identity.uuid();
        this.type = identity.type();
        this.mappings = new GuestMappings(parent.host());
        this.ram = new SimulatedRam(parent.host(), RAM_PAGES, this::guestWrote);
        this.interrupts = new RecordedInterrupts(parent.host());
        this.steps = parent.host().newStepGate();
        this.callbacks = parent.host().newCallbacks("mdev-" + uuid);
        this.elastic = new ElasticShares(parent, type, identity.share(), mappings, callbacks);
        this.share = elastic.fixed();
        this.device = parent.callbacks().call(what, () -> maker.apply(this));
        elastic.bind(device);
        made = true;
        try {
            this.regions = List.copyOf(callbacks.call("regions", device::regions));
            this.doorbells =
                    new RungDoorbells(
                            parent.host()::violation,
                            device,
                            callbacks,
                            steps,
                            callbacks.call("doorbells", device::doorbells));
            this.state = new StateCalls(parent.host(), device, callbacks, steps, doorbells);
            requireLayout();
            interrupts.announce(irqs());
            if (callbacks.call("isConcurrent", device::isConcurrent)) {
                callbacks.allowConcurrency();
            }
            assigned(true);
        } catch (RuntimeException | Error e) {
            endUnusable();
            throw e;
        }
    }

    private void guestWrote(long iova, int widthBytes, long value) {
        callbacks.run("guestWrote", () -> device.guestWrote(iova, widthBytes, value));
    }

    /// As the host: a device that does not make a PCI function is closed.
    private void requireLayout() {
        PciOptions options = callbacks.call("pci", device::pci);
        IrqInfo irqs = irqs();
        try {
            BarLayout bars = BarLayout.of(regions, irqs, options);
            DoorbellLayout.check(doorbells.all(), regions, bars, irqs.msixVectors());
            layout = bars;
        } catch (MdevException e) {
            throw parent.host().violation("the host takes no such device: " + e.getMessage());
        }
    }

    private void endUnusable() {
        closed = true;
        ram.close();
        interrupts.close();
        try {
            callbacks.run("close", device::close);
        } finally {
            callbacks.close();
        }
    }

    // The driver's view.

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
    public ElasticMemory elastic(String pool) {
        return elastic.of(pool);
    }

    @Override
    public void revoke(int region, long firstPage, long npages) {
        elastic.requireNotAsked("revoke");
        if (region < 0 || firstPage < 0 || npages < 1) {
            throw parent.host()
                    .violation(
                            "revoke region=%d firstPage=%d npages=%d"
                                    .formatted(region, firstPage, npages));
        }
        if (!made) {
            throw parent.host().violation("revoke before there is a device: " + uuid);
        }
        if (closed) {
            throw parent.host().violation("revoke after close of " + uuid);
        }
        mappings.revoke(region, firstPage, npages);
    }

    @Override
    public boolean runStep(Runnable step) {
        elastic.requireNotAsked("runStep");
        return steps.run(step);
    }

    @Override
    public void ring(int doorbell) {
        doorbells.ring(doorbell);
    }

    /// Waits until the driver has answered all rings of its doorbells with DONE. The device must
    /// not be stopped.
    ///
    /// @throws ContractViolation if that takes six times as long as a callback may
    public void awaitDoorbells() {
        doorbells.await(patience().toNanos());
    }

    @Override
    public void report(ReportLevel level, String text) {
        if (closed) {
            throw parent.host().violation("report after close of " + uuid);
        }
        parent.host().requireReport(text);
        lastReport = text;
    }

    /// The driver's last report.
    public Optional<String> lastReport() {
        return Optional.ofNullable(lastReport);
    }

    @Override
    public SimulatedRam guestMemory() {
        return ram;
    }

    @Override
    public RecordedInterrupts interrupts() {
        return interrupts;
    }

    // The host's and the tests' view.

    /// The driver's device, for tests of features that only this driver has.
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

    /// Mapped pages of a region.
    public long mappedPages(int region) {
        return mappings.count(region);
    }

    /// Whether a page of a region is mapped now.
    public boolean isMapped(int region, long page) {
        return mappings.entry(region, page) != null;
    }

    /// The physical page of a mapped page of a region.
    public Optional<Long> pfnOf(int region, long page) {
        return Optional.ofNullable(mappings.entry(region, page)).map(GuestMappings.Entry::pfn);
    }

    /// Whether a page of a region is mapped to one that devices share.
    boolean isShared(int region, long page) {
        return pfnOf(region, page).filter(parent::isShared).isPresent();
    }

    /// Its base address registers, and where its MSI-X table is.
    public BarLayout layout() {
        return Objects.requireNonNull(layout);
    }

    /// The host.
    public InMemoryHost host() {
        return parent.host();
    }

    /// Asks the driver something, in the device's turn.
    <T> T ask(String what, Function<MdevDevice, T> question) {
        return callbacks.call(what, () -> question.apply(device));
    }

    public IrqInfo irqs() {
        return callbacks.call("irqs", device::irqs);
    }

    public PciIdentity identity() {
        return callbacks.call("identity", device::identity);
    }

    /// The device's current picture, if it has one.
    public Optional<Display.Picture> picture() {
        return callbacks.call("picture", () -> device.display().flatMap(Display::picture));
    }

    public Map<String, Long> counters() {
        return callbacks.call("counters", device::counters);
    }

    /// Lets revocations overtake answers: `when` is called after each grant, and if it returns true
    /// the granted pages are revoked before they are mapped, as another thread's revocation would
    /// do.
    public void setOvertaken(BooleanSupplier when) {
        mappings.setOvertaken(when);
    }

    /// Removes guest memory from the device: notifies the driver, then closes remaining pins by
    /// force.
    ///
    /// @return the pins that the driver left open
    public int unmapDma(long iova, long lengthBytes) {
        ram.remove(Page.numberOf(iova), Page.countFor(lengthBytes));
        steps.still(
                "dmaUnmapped",
                () -> callbacks.run("dmaUnmapped", () -> device.dmaUnmapped(iova, lengthBytes)));
        return ram.forceUnpin(iova, lengthBytes);
    }

    /// A saved device: the driver's bytes, and the content of its pages in the order of its share.
    ///
    /// @param version the version of `state`
    /// @param elastic the content of its elastic shares
    @SuppressWarnings("ArrayRecordComponent") // handed over, not compared
    public record Saved(int version, byte[] state, byte[] pages, byte[] elastic) {}

    /// Stops the device and saves it, if it supports that. Its mappings are removed, as by the
    /// host. The guest must be paused until [#resume].
    public Optional<Saved> save() {
        state.stop();
        if (state.isStopped()) {
            regions.forEach(region -> mappings.revoke(region.index(), 0, Long.MAX_VALUE));
        }
        return state.save(() -> pages().read(), elastic);
    }

    /// Lets a saved device continue here.
    public void resume() {
        state.resume();
    }

    /// Restores a saved state, including the pages. If the device refuses, it is reset, as by the
    /// host.
    ///
    /// The device stays stopped until [#resume].
    ///
    /// @return whether the driver accepted it
    public boolean restore(Saved saved) {
        boolean taken;
        try {
            state.stop();
            reset();
            pages().write(saved.pages());
            elastic.write(saved.elastic());
            taken = callbacks.call("restore", () -> unmapped(() -> state.tryRestore(saved)));
        } catch (MdevException e) {
            taken = false;
        }
        if (!taken) {
            reset();
        }
        return taken;
    }

    /// Gives the device other pages with the content of its old ones, as the host does to make room
    /// while the device is idle: the guest must be paused. The old pages are scrubbed and free
    /// again.
    ///
    /// @return whether the driver allows moves of its devices
    /// @throws MdevException EUSERS if there are no other pages; otherwise the driver's error, and
    ///   the device has its old pages
    public boolean move() {
        if (!callbacks.call("isMovable", device::isMovable)) {
            return false;
        }
        List<PoolShare> old = share;
        List<PoolShare> target = parent.takeFixed(type);
        mappings.clear();
        state.stop();
        byte[] content = pages().read();
        share = target;
        boolean moved = false;
        try {
            pages().write(content);
            steps.still(
                    "shareMoved",
                    () -> callbacks.run("shareMoved", () -> device.shareMoved(target)));
            moved = true;
        } finally {
            share = moved ? target : old;
            parent.giveBack(moved ? old : target);
            resume();
        }
        return true;
    }

    /// Gives the device to its next holder: it is released, reset, and assigned again. A new device
    /// has a holder.
    public void reassign() {
        mappings.clear();
        assigned(false);
        reset();
        assigned(true);
    }

    private void assigned(boolean held) {
        steps.still("assigned", () -> callbacks.run("assigned", () -> device.assigned(held)));
    }

    /// Resets the device, as a guest or the host may at any time.
    public void reset() {
        boolean cleared = callbacks.call("clearedByHost", device::clearedByHost);
        steps.still(
                "reset",
                () -> callbacks.runAfter("reset", () -> clear(cleared), this::resetUnmapped));
    }

    /// The host's part of a reset.
    private void clear(boolean pages) {
        mappings.clear();
        doorbells.forget();
        elastic.clear();
        if (pages) {
            pages().clear();
        }
    }

    private void resetUnmapped() {
        var _ =
                unmapped(() -> {
                    device.reset();
                    return true;
                });
    }

    /// Runs a callback that changes the meaning of grants: mappings from before are removed while
    /// no other fault is answered, and so are mappings made in the meantime.
    private <T> T unmapped(Supplier<T> callback) {
        mappings.clear();
        try {
            return callback.get();
        } finally {
            mappings.clear();
        }
    }

    /// Removes the device: its mappings are removed, the driver closes it, the share is scrubbed
    /// and free again.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        mappings.clear();
        try {
            steps.hold("close");
            callbacks.run("close", device::close);
            elastic.end();
        } finally {
            closed = true;
            doorbells.close();
            ram.close();
            interrupts.close();
            callbacks.close();
            parent.removed(this);
        }
    }

    // The guest's view.

    Duration patience() {
        return parent.host().patience();
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

    RungDoorbells doorbells() {
        return doorbells;
    }

    GuestCalls calls() {
        return new GuestCalls(
                device,
                callbacks,
                mappings,
                elastic,
                parent.sharedPages(type()),
                aperture()::cachingOf);
    }

    /// All pages that were taken for it.
    List<PoolShare> heldShare() {
        return Stream.concat(share.stream(), elastic.minimums().stream()).toList();
    }

    private SharePages pages() {
        return new SharePages(aperture(), share);
    }

    @Override
    public String toString() {
        return "mdev=%s type=%s".formatted(uuid, type.id());
    }
}
