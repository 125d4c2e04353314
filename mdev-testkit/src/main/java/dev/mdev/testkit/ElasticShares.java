package dev.mdev.testkit;

import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;

import org.jspecify.annotations.Nullable;

import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/// The elastic shares of one device, and the pages that were taken for them.
final class ElasticShares implements InMemoryElastic.Device {
    private final InMemoryHost host;
    private final GuestMappings mappings;
    private final Callbacks callbacks;
    private final List<InMemoryElastic> shares = new ArrayList<>();
    private final List<PoolShare> fixed = new ArrayList<>();
    private final List<PoolShare> minimums = new ArrayList<>();
    private volatile @Nullable MdevDevice device;

    /// The thread on which the driver is asked for pages.
    private volatile @Nullable Thread asking;

    private volatile boolean ended;

    /// @param taken the pages of the device, one share for each demand of the type
    ElasticShares(
            InMemoryParent parent,
            MdevType type,
            List<PoolShare> taken,
            GuestMappings mappings,
            Callbacks callbacks) {
        this.host = parent.host();
        this.mappings = mappings;
        this.callbacks = callbacks;
        SplittableRandom random = new SplittableRandom(host.seed());
        for (int i = 0; i < taken.size(); i++) {
            MdevType.Demand demand = type.demands().get(i);
            if (demand.isElastic()) {
                minimums.add(taken.get(i));
                shares.add(
                        new InMemoryElastic(
                                this, parent.aperture(), demand, taken.get(i), random.split()));
            } else {
                fixed.add(taken.get(i));
            }
        }
    }

    /// The shares of the fixed demands.
    List<PoolShare> fixed() {
        return List.copyOf(fixed);
    }

    /// The pages of the elastic ones.
    List<PoolShare> minimums() {
        return List.copyOf(minimums);
    }

    /// The driver's device, which is asked from now on.
    void bind(MdevDevice made) {
        device = made;
    }

    InMemoryElastic of(String pool) {
        return shares.stream()
                .filter(share -> share.pool().equals(pool))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no elastic demand: pool=" + pool));
    }

    /// Turns the driver's answer into a grant of the pages that are there then.
    MapDecision.Grant mapIn(MapRequest request, MapDecision.FromPool grant) {
        if (shares.stream().noneMatch(share -> share.pool().equals(grant.pool()))) {
            throw violation("no elastic share: " + request + " " + grant);
        }
        return of(grant.pool()).mapIn(request, grant);
    }

    @Override
    public boolean mayEvict(String pool, long firstPage, long npages) {
        MdevDevice asked = device;
        return asked == null
                || callbacks.aside(
                        "evict pool=%s firstPage=%d npages=%d".formatted(pool, firstPage, npages),
                        () -> ask(asked, pool, firstPage, npages));
    }

    private boolean ask(MdevDevice asked, String pool, long firstPage, long npages) {
        asking = Thread.currentThread();
        try {
            return asked.evict(pool, firstPage, npages);
        } finally {
            asking = null;
        }
    }

    /// Another device's fault, which may hold anything, waits for the answer.
    ///
    /// @param call what the driver calls
    /// @throws ContractViolation if it does so while it is asked for pages
    void requireNotAsked(String call) {
        if (Thread.currentThread().equals(asking)) {
            throw violation("evict calls " + call);
        }
    }

    @Override
    public void revoke(int region, long firstPage, long npages) {
        mappings.revoke(region, firstPage, npages);
    }

    @Override
    public void check(FaultInjector.Site site) {
        requireNotAsked("its elastic share");
        if (ended) {
            throw violation("an elastic share is used after close");
        }
        host.faults().check(site);
    }

    @Override
    public ContractViolation violation(String text) {
        return host.violation(text);
    }

    void clear() {
        shares.forEach(share -> share.discard(0, share.npages()));
    }

    void end() {
        ended = true;
        shares.forEach(InMemoryElastic::requireNoPins);
    }

    byte[] read() {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        shares.forEach(share -> content.writeBytes(share.content()));
        return content.toByteArray();
    }

    void write(byte[] bytes) {
        MemorySegment content = MemorySegment.ofArray(bytes);
        long at = 0;
        for (InMemoryElastic share : shares) {
            share.setContent(content.asSlice(at, Page.bytesOf(share.npages())));
            at += share.sizeBytes();
        }
    }
}
