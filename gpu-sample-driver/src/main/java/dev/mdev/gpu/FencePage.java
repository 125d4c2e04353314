package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Access;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

/// A page that guests map read-only: its first eight bytes are the last fence. A guest that waits
/// for a fence reads here, which costs no exit, while each read of the register costs one.
///
/// All methods may be called by any thread.
final class FencePage {
    /// The pool that it is from.
    static final String POOL = "fence";

    private final ShareMemory page;

    FencePage(Aperture aperture, MdevContext context) {
        this.page = ShareMemory.inOrder(aperture, context.share(POOL));
    }

    /// The answer to a guest's access to the page.
    MapDecision decide(MapRequest request) {
        if (request.access() == Access.WRITE) {
            return new MapDecision.Deny("the fence page is read only");
        }
        return MapDecision.grantPage(request, page.pfnOf(0), Prot.READ);
    }

    void publish(long fence) {
        page.store(0, Long.BYTES, fence);
    }

    /// The page's content, for a guest that cannot map it.
    ShareMemory content() {
        return page;
    }

    /// Returns to the state after creation. The page is not mapped.
    void reset() {
        page.fill(0, Page.SIZE, (byte) 0);
    }
}
