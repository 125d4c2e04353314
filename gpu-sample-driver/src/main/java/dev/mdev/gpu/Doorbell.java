package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

/// A device's doorbell page, mapped straight through to the guest: its first word is the tail of the
/// ring, and a guest rings by storing to it, without leaving its processor.
///
/// Nobody is told of such a store, so the engine has to look. While it is busy it looks anyhow. When
/// it has nothing to do it *arms* the doorbell: it revokes the page, looks once more, and goes to
/// sleep. The next store faults, and the fault is the bell:
///
///     engine                              guest
///     arm: live = false
///     revoke                              a store before this is seen by the look below
///     look at the tail: no work           store: faults
///     sleep                               decide: live = true, wake, grant the page
///     look at the tail  <---------------- the store is done
///
/// That no ring is lost rests on two promises of [MdevContext#revoke]: accesses through the old
/// mapping are over when it returns, and an answer that it overtook is asked for again.
///
/// All methods may be called by any thread.
final class Doorbell {
    private final MdevContext context;
    private final ShareMemory page;

    /// Whether the guest may have the page mapped.
    private volatile boolean live;

    Doorbell(Aperture aperture, MdevContext context) {
        this.context = context;
        this.page = ShareMemory.inOrder(aperture, context.share(GpuParent.DOORBELL));
    }

    /// The answer to a guest that touched the page. It is not mapped ahead: that would be a ring
    /// that nobody made.
    MapDecision decide(MapRequest request) {
        if (request.reason() == MapRequest.Reason.PREFETCH) {
            return new MapDecision.Deny("a doorbell is mapped when it is rung");
        }
        live = true;
        return MapDecision.grantPage(request, page.runAt(0).pfns().firstPfn(), Prot.READ_WRITE);
    }

    boolean isLive() {
        return live;
    }

    /// Takes the page from the guest. When this returns, every store before is to be seen in
    /// [#tail], and the next faults. Call it with no lock held.
    void arm() {
        live = false;
        context.revoke(GpuDevice.QUEUE_BAR, GpuDevice.DOORBELL_PAGE, 1);
    }

    /// The ring's tail, as the guest stored it last.
    int tail() {
        return (int) page.load(0, Integer.BYTES);
    }

    void setTail(int tail) {
        page.store(0, Integer.BYTES, tail);
    }

    /// The page's content, for a guest that cannot have it mapped.
    ShareMemory content() {
        return page;
    }

    /// Brings back the state after creation. The page is not mapped.
    void reset() {
        live = false;
        page.fill(0, Page.SIZE, (byte) 0);
    }
}
