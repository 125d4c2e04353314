package dev.mdev.gpu;

import dev.mdev.api.Aperture;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.PoolShare;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;

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
    private final Aperture aperture;
    private final MdevContext context;
    private volatile Place place;

    /// Whether the guest may have the page mapped.
    private volatile boolean live;

    Doorbell(Aperture aperture, MdevContext context) {
        this.aperture = aperture;
        this.context = context;
        this.place = placeIn(context.share(GpuParent.DOORBELL));
    }

    /// Where the page is.
    private record Place(long pfn, long offsetBytes) {}

    private Place placeIn(PoolShare share) {
        long pfn = share.extents().getFirst().firstPfn();
        return new Place(pfn, Page.bytesOf(pfn - aperture.pfns().firstPfn()));
    }

    /// Goes on with another page, which has the content of the old one. The guest has no mapping
    /// and the engine does not run.
    void moveTo(PoolShare share) {
        place = placeIn(share);
    }

    /// The answer to a guest that touched the page. It is not mapped ahead: that would be a ring
    /// that nobody made.
    MapDecision decide(MapRequest request) {
        if (request.reason() == MapRequest.Reason.PREFETCH) {
            return new MapDecision.Deny("a doorbell is mapped when it is rung");
        }
        live = true;
        return MapDecision.grantPage(request, place.pfn(), Prot.READ_WRITE);
    }

    boolean isLive() {
        return live;
    }

    /// Takes the page from the guest. When this returns, every store before is to be seen in
    /// [#tail], and the next faults. Call it with no lock held.
    void arm() {
        live = false;
        context.revoke(GpuDevice.QUEUE_BAR, 0, 1);
    }

    /// The ring's tail, as the guest stored it last.
    int tail() {
        byte[] word = new byte[Integer.BYTES];
        aperture.read(place.offsetBytes(), MemorySegment.ofArray(word));
        return MemorySegment.ofArray(word).get(Command.INT, 0);
    }

    void setTail(int tail) {
        byte[] word = new byte[Integer.BYTES];
        MemorySegment.ofArray(word).set(Command.INT, 0, tail);
        aperture.write(place.offsetBytes(), MemorySegment.ofArray(word));
    }

    /// A guest's access to the page where it cannot be mapped.
    long read(int inPage, int widthBytes) {
        byte[] bytes = new byte[Long.BYTES];
        aperture.read(
                place.offsetBytes() + inPage, MemorySegment.ofArray(bytes).asSlice(0, widthBytes));
        return MemorySegment.ofArray(bytes).get(Command.LONG, 0);
    }

    /// Likewise.
    void write(int inPage, int widthBytes, long value) {
        byte[] bytes = new byte[Long.BYTES];
        MemorySegment.ofArray(bytes).set(Command.LONG, 0, value);
        aperture.write(
                place.offsetBytes() + inPage, MemorySegment.ofArray(bytes).asSlice(0, widthBytes));
    }

    /// Brings back the state after creation. The page is not mapped.
    void reset() {
        live = false;
        aperture.fill(place.offsetBytes(), Page.SIZE, (byte) 0);
    }
}
