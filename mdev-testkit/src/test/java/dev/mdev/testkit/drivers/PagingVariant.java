package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;

/// Twice as many pages as it has, and no state to save or restore: the right way to page by
/// revocation, made to be changed in one place.
class PagingVariant extends Variant.VariantDevice {
    static final int FRAMES = Variant.PAGES_A_DEVICE;

    final Map<Integer, byte[]> evicted = new HashMap<>();
    final int[] pageIn = new int[FRAMES];
    int next;

    PagingVariant(Aperture aperture, MdevContext context) {
        super(aperture, context);
        Arrays.fill(pageIn, -1);
    }

    @Override
    public List<RegionInfo> regions() {
        return List.of(
                RegionInfo.of(MEMORY, "memory", 2 * Page.bytesOf(FRAMES), RegionArea.Kind.LAZY));
    }

    @Override
    public MapDecision validateMapRequest(MapRequest request) {
        int page = (int) request.page();
        for (int frame = 0; frame < FRAMES; frame++) {
            if (pageIn[frame] == page) {
                return MapDecision.grantPage(request, pfnOf(frame), Prot.READ_WRITE);
            }
        }
        int frame = takeFrame();
        if (pageIn[frame] >= 0) {
            evict(frame);
            pageIn[frame] = -1;
        }
        byte[] content = evicted.getOrDefault(page, new byte[Page.SIZE]);
        memory().write(Page.addressOf(frame), MemorySegment.ofArray(content));
        pageIn[frame] = page;
        return MapDecision.grantPage(request, pfnOf(frame), Prot.READ_WRITE);
    }

    int takeFrame() {
        int frame = next;
        next = (frame + 1) % FRAMES;
        return frame;
    }

    void evict(int frame) {
        context.revoke(MEMORY, pageIn[frame], 1);
        evicted.put(pageIn[frame], read(frame));
    }

    byte[] read(int frame) {
        byte[] content = new byte[Page.SIZE];
        memory().read(Page.addressOf(frame), MemorySegment.ofArray(content));
        return content;
    }

    private ShareMemory memory() {
        return ShareMemory.inOrder(aperture, share);
    }

    @Override
    public Optional<DeviceState> state() {
        return Optional.empty();
    }

    @Override
    public void reset() {
        super.reset();
        evicted.clear();
        Arrays.fill(pageIn, -1);
    }

    /// The same for faults that are answered beside each other. The lock is held while a page is
    /// revoked, so nobody may wait for it: a fault that finds it taken is asked for again.
    static final class Concurrent extends PagingVariant {
        private final ReentrantLock moving = new ReentrantLock();

        Concurrent(Aperture aperture, MdevContext context) {
            super(aperture, context);
        }

        @Override
        public boolean isConcurrent() {
            return true;
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            if (!moving.tryLock()) {
                return new MapDecision.Again("another page comes in");
            }
            try {
                return super.validateMapRequest(request);
            } finally {
                moving.unlock();
            }
        }
    }
}
