package dev.mdev.testkit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.PoolShare;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.api.page.PfnRange;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;

/// A physical device in the in-memory host: it hands out shares and creates mediated devices.
public final class InMemoryParent {
    private final InMemoryHost host;
    private final ParentDevice device;
    private final Callbacks callbacks;
    private final ParentLayout layout;
    private final SparseAperture aperture;

    @GuardedBy("this")
    private final List<PoolAllocator> allocators = new ArrayList<>();

    @GuardedBy("this")
    private final List<InMemoryMdev> mdevs = new ArrayList<>();

    InMemoryParent(InMemoryHost host, ParentDevice device, SplittableRandom random) {
        this.host = host;
        this.device = device;
        this.callbacks = host.newCallbacks("parent");
        this.layout = layoutOf(device);
        this.aperture = host.memoryOf(callbacks.call("aperture", device::aperture));
        for (ResourcePool pool : layout.pools()) {
            if (layout.sharedPools().contains(pool.name())) {
                continue;
            }
            allocators.add(new PoolAllocator(pool, random.split(), host.scattersShares()));
        }
    }

    private ParentLayout layoutOf(ParentDevice asked) {
        try {
            return callbacks.call("name, pools and types", () -> ParentLayout.of(asked));
        } catch (MdevException e) {
            throw host.violation("the host takes no such parent: " + e.getMessage());
        }
    }

    /// Its name.
    public String name() {
        return layout.name();
    }

    /// The driver's first description of it.
    public ParentLayout layout() {
        return layout;
    }

    /// The driver's parent device.
    public ParentDevice device() {
        return device;
    }

    /// Its aperture.
    public SparseAperture aperture() {
        return aperture;
    }

    /// The driver's description of it now.
    ParentLayout layoutNow() {
        return layoutOf(device);
    }

    /// The content of a device's pages.
    byte[] contentOf(List<PoolShare> share) {
        for (PoolShare part : share) {
            if (!part.extents().stream().allMatch(aperture.pfns()::contains)) {
                throw host.violation("pages leave the pool and the aperture: " + part);
            }
        }
        return new SharePages(aperture, share).read();
    }

    /// The pages that all devices of a type may map, read-only.
    List<PfnRange> sharedPages(MdevType type) {
        return layout.sharedPages(type);
    }

    boolean isShared(long pfn) {
        return layout.types().stream()
                .flatMap(type -> sharedPages(type).stream())
                .anyMatch(pages -> pages.contains(pfn));
    }

    /// The content of all pages that devices share.
    byte[] sharedContent() {
        List<PoolShare> shared = new ArrayList<>();
        for (ResourcePool pool : layout.pools()) {
            if (layout.sharedPools().contains(pool.name())) {
                shared.add(new PoolShare(pool.name(), List.of(pool.pfns())));
            }
        }
        return contentOf(shared);
    }

    /// Makes a device.
    ///
    /// @throws MdevException EUSERS if the pools lack pages; otherwise the driver's error
    public InMemoryMdev create(String typeId) {
        MdevType type = type(typeId);
        List<PoolShare> share = take(type);
        try {
            return added(
                    new InMemoryMdev(
                            this,
                            new InMemoryMdev.Identity(host.nextUuid(), type, share),
                            "create type=" + typeId,
                            device::create));
        } catch (RuntimeException | Error e) {
            giveBack(share);
            throw e;
        }
    }

    private InMemoryMdev added(InMemoryMdev mdev) {
        synchronized (this) {
            mdevs.add(mdev);
        }
        return mdev;
    }

    /// The devices that the driver says are there without our doing.
    public List<ExistingDevice> existing() {
        return callbacks.call("existing", () -> List.copyOf(device.existing()));
    }

    /// Takes an existing device over as it is, with the content of its pages. From now on, no other
    /// device gets the pages, even after a failure.
    ///
    /// @throws MdevException the driver's error; the device is unchanged
    /// @throws ContractViolation if the device's pages do not match the demand of its type, are
    ///   outside the pools, or belong to another device
    public InMemoryMdev adopt(ExistingDevice found) {
        MdevType type = type(found.typeId());
        claim(type, found.share());
        return added(
                new InMemoryMdev(
                        this,
                        new InMemoryMdev.Identity(found.uuid(), type, found.share()),
                        "adopt mdev=" + found.uuid(),
                        device::adopt));
    }

    private synchronized void claim(MdevType type, List<PoolShare> share) {
        if (share.size() != type.demands().size()) {
            throw host.violation("%s has shares of other pools: %s".formatted(type.id(), share));
        }
        List<PoolShare> claimed = new ArrayList<>();
        for (int i = 0; i < share.size(); i++) {
            PoolShare part = share.get(i);
            MdevType.Demand demand = type.demands().get(i);
            if (!part.pool().equals(demand.pool())
                    || part.npages() != demand.minPages()
                    || !allocator(part.pool()).claim(part)) {
                undoTake(claimed);
                throw host.violation(
                        "an existing device's pages do not fit its type, leave the pool, or are"
                                + " another's: %s %s".formatted(demand, part));
            }
            claimed.add(part);
        }
    }

    /// The number of further devices of a type for which there are free pages now.
    public int available(String typeId) {
        MdevType type = type(typeId);
        synchronized (this) {
            long same = mdevs.stream().filter(mdev -> mdev.type().id().equals(typeId)).count();
            List<List<PoolShare>> tried = new ArrayList<>();
            while (tried.size() < type.maxInstances() - same) {
                Optional<List<PoolShare>> share = tryTake(type);
                if (share.isEmpty()) {
                    break;
                }
                tried.add(share.get());
            }
            tried.forEach(this::undoTake);
            return tried.size();
        }
    }

    /// The type with that id.
    public MdevType type(String typeId) {
        return layout.types().stream()
                .filter(type -> type.id().equals(typeId))
                .findFirst()
                .orElseThrow(() -> new MdevException(Errno.ENOENT, "type=" + typeId));
    }

    /// The host.
    public InMemoryHost host() {
        return host;
    }

    Callbacks callbacks() {
        return callbacks;
    }

    void removed(InMemoryMdev mdev) {
        synchronized (this) {
            mdevs.remove(mdev);
        }
        giveBack(mdev.heldShare());
    }

    /// Free pages of all pools that are not zero: the driver stored to them after they were
    /// scrubbed.
    public synchronized long dirtyFreePages() {
        long dirty = 0;
        for (PoolAllocator allocator : allocators) {
            PfnRange pfns = allocator.pool().pfns();
            for (long pfn = pfns.firstPfn(); pfn < pfns.endPfn(); pfn++) {
                if (allocator.isFree(pfn) && !aperture.isZero(pfn)) {
                    dirty++;
                }
            }
        }
        return dirty;
    }

    void close() {
        List<InMemoryMdev> left;
        synchronized (this) {
            left = List.copyOf(mdevs);
        }
        try {
            left.forEach(InMemoryMdev::close);
            long dirty = dirtyFreePages();
            if (dirty > 0) {
                host.violation("%d pages were stored to that belong to no device".formatted(dirty));
            }
        } finally {
            try {
                callbacks.run("close of " + name(), device::close);
            } finally {
                callbacks.close();
            }
        }
    }

    /// Reserves pages for the fixed demands of one more device of a type.
    ///
    /// @throws MdevException EUSERS if there are none
    List<PoolShare> takeFixed(MdevType type) {
        List<PoolShare> fixed = new ArrayList<>();
        List<PoolShare> all = take(type);
        for (int i = 0; i < all.size(); i++) {
            if (type.demands().get(i).isElastic()) {
                giveBack(List.of(all.get(i)));
            } else {
                fixed.add(all.get(i));
            }
        }
        return List.copyOf(fixed);
    }

    /// Reserves pages for one more device of a type: of an elastic demand, the minimum.
    ///
    /// @throws MdevException EUSERS if there are none
    List<PoolShare> take(MdevType type) {
        synchronized (this) {
            long same = mdevs.stream().filter(mdev -> mdev.type().equals(type)).count();
            Optional<List<PoolShare>> share =
                    same < type.maxInstances() ? tryTake(type) : Optional.empty();
            return share.orElseThrow(
                    () -> new MdevException(Errno.EUSERS, "no room for type=" + type.id()));
        }
    }

    @GuardedBy("this")
    private Optional<List<PoolShare>> tryTake(MdevType type) {
        List<PoolShare> taken = new ArrayList<>();
        for (MdevType.Demand demand : type.demands()) {
            Optional<PoolShare> part = allocator(demand.pool()).take(demand);
            if (part.isEmpty()) {
                undoTake(taken);
                return Optional.empty();
            }
            taken.add(part.get());
        }
        return Optional.of(taken);
    }

    @GuardedBy("this")
    private PoolAllocator allocator(String pool) {
        return allocators.stream()
                .filter(allocator -> allocator.pool().name().equals(pool))
                .findFirst()
                .orElseThrow(() -> host.violation("a type demands of no pool: " + pool));
    }

    /// Scrubs pages and frees them.
    void giveBack(List<PoolShare> share) {
        new SharePages(aperture, share).clear();
        synchronized (this) {
            share.forEach(part -> allocator(part.pool()).giveBack(part));
        }
    }

    @GuardedBy("this")
    private void undoTake(List<PoolShare> share) {
        share.forEach(part -> allocator(part.pool()).undoTake(part));
    }
}
