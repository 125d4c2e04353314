package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

/// A device's doorbell page, mapped directly to the guest: its first word is the tail of the ring,
/// and a guest rings by storing to it, without leaving its processor.
///
/// Such a store notifies no one, so the engine must check. While it is busy, it checks regularly.
/// When it has nothing to do, it *arms* the doorbell: it revokes the page, checks once more, and
/// sleeps. The next store faults, and the fault is the bell:
///
///     engine                              guest
///     arm: live = false
///     revoke                              a store before this is seen by the look below
///     look at the tail: no work           store: faults
///     sleep                               decide: live = true, wake, grant the page
///     look at the tail  <---------------- the store is done
///
/// Two guarantees of [MdevContext#revoke] ensure that no ring is lost: accesses through the old
/// mapping have ended when it returns, and the host repeats a request whose answer it overtook.
///
/// All methods may be called by any thread.
final class Doorbell {
    /// The pool that its page is from, and where a guest sees the page.
    static final String POOL = "doorbell";

    static final int BAR = 4;
    static final int PAGE = 0;

    private final MdevContext context;
    private final ShareMemory page;

    /// Whether the guest may have the page mapped.
    private volatile boolean live;

    Doorbell(Aperture aperture, MdevContext context) {
        this.context = context;
        this.page = ShareMemory.inOrder(aperture, context.share(POOL));
    }

    /// The answer to a guest's access to the page. It is never mapped ahead: that would be a ring
    /// without a store.
    MapDecision decide(MapRequest request) {
        if (request.reason() == MapRequest.Reason.PREFETCH) {
            return new MapDecision.Deny("a doorbell is mapped when it is rung");
        }
        live = true;
        return MapDecision.grantPage(request, page.pfnOf(0), Prot.READ_WRITE);
    }

    boolean isLive() {
        return live;
    }

    /// Revokes the page. When this returns, [#tail] shows every earlier store, and the next store
    /// faults. Call it without a lock.
    void arm() {
        live = false;
        context.revoke(BAR, PAGE, 1);
    }

    /// The ring's tail, from the guest's last store.
    int tail() {
        return (int) page.load(0, Integer.BYTES);
    }

    void setTail(int tail) {
        page.store(0, Integer.BYTES, tail);
    }

    /// The page's content, for a guest that cannot map it.
    ShareMemory content() {
        return page;
    }

    /// Returns to the state after creation. The page is not mapped.
    void reset() {
        live = false;
        page.fill(0, Page.SIZE, (byte) 0);
    }
}
