package dev.mdev.example;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.Errno;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.ShareMemory;
import dev.mdev.api.SimpleParent;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;

/// Memory that is larger than it is: each device shows 64 pages and has 8. A page that is touched
/// takes the place of the one that has been there the longest.
public final class PagingDriver implements ParentDriver {
    static final int FRAMES = 8;
    static final int PAGES = 64;

    @Override
    public String name() {
        return "paging";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Aperture aperture = host.allocateAperture("paging0", 4 * FRAMES);
        var demand = new MdevType.Demand("frames", FRAMES, 1, false);
        var type =
                new MdevType(
                        "paging-64",
                        "Paging",
                        "64 pages in 8",
                        MdevType.VFIO_PCI,
                        List.of(demand),
                        4);
        return List.of(
                new SimpleParent(
                        "paging0",
                        "Eight pages that look like 64",
                        aperture,
                        List.of(new ResourcePool("frames", aperture.pfns())),
                        List.of(type),
                        context -> new Paged(aperture, context)));
    }

    static final class Paged implements MdevDevice, DeviceState {
        private static final int NONE = -1;
        private static final int BAR = 0;

        private final MdevContext context;
        private final ShareMemory frames;

        /// Which page is in a frame, or NONE.
        private final int[] pageIn = new int[FRAMES];

        /// Pages that are in no frame and hold something.
        private final TreeMap<Integer, byte[]> evicted = new TreeMap<>();

        private int nextVictim;
        private long evictions;

        Paged(Aperture aperture, MdevContext context) {
            this.context = context;
            this.frames = ShareMemory.inOrder(aperture, context.share("frames"));
            Arrays.fill(pageIn, NONE);
        }

        @Override
        public List<RegionInfo> regions() {
            return List.of(RegionInfo.of(BAR, "memory", Page.bytesOf(PAGES), RegionArea.Kind.LAZY));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            int page = (int) request.page();
            if (request.reason() == MapRequest.Reason.PREFETCH && frameOf(page) == NONE) {
                return new MapDecision.Deny("a page comes when it is touched");
            }
            return MapDecision.grantPage(request, frames.pfnOf(bringIn(page)), Prot.READ_WRITE);
        }

        /// For guests whose machine cannot map the page.
        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            return frames.load(inFrames(offsetBytes, widthBytes), widthBytes);
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            frames.store(inFrames(offsetBytes, widthBytes), widthBytes, value);
        }

        private long inFrames(long offsetBytes, int widthBytes) {
            int inPage = Page.offsetOf(offsetBytes);
            if (inPage + widthBytes > Page.SIZE) {
                throw new MdevException(Errno.EINVAL, "offsetBytes=0x%x".formatted(offsetBytes));
            }
            return Page.addressOf(bringIn((int) Page.numberOf(offsetBytes))) + inPage;
        }

        private int frameOf(int page) {
            for (int frame = 0; frame < FRAMES; frame++) {
                if (pageIn[frame] == page) {
                    return frame;
                }
            }
            return NONE;
        }

        /// Puts a page into a frame, if it is in none. An exception leaves every page's content in
        /// a frame or among the evicted ones.
        private int bringIn(int page) {
            int there = frameOf(page);
            if (there != NONE) {
                return there;
            }
            int frame = nextVictim;
            evict(frame);
            byte[] content = evicted.getOrDefault(page, new byte[Page.SIZE]);
            frames.write(Page.addressOf(frame), MemorySegment.ofArray(content));
            pageIn[frame] = page;
            evicted.remove(page);
            nextVictim = (frame + 1) % FRAMES;
            return frame;
        }

        /// The page is revoked first: after that, no guest stores to it any more.
        private void evict(int frame) {
            int victim = pageIn[frame];
            if (victim == NONE) {
                return;
            }
            context.revoke(BAR, victim, 1);
            byte[] content = new byte[Page.SIZE];
            frames.read(Page.addressOf(frame), MemorySegment.ofArray(content));
            evicted.put(victim, content);
            pageIn[frame] = NONE;
            evictions++;
        }

        @Override
        public Map<String, Long> counters() {
            return Map.of("evictions", evictions);
        }

        @Override
        public void reset() {
            frames.fill(0, frames.sizeBytes(), (byte) 0);
            Arrays.fill(pageIn, NONE);
            evicted.clear();
            nextVictim = 0;
        }

        @Override
        public boolean isMovable() {
            return true;
        }

        @Override
        public void shareMoved(List<PoolShare> share) {
            frames.moveTo(share);
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        @Override
        public int version() {
            return 1;
        }

        /// The host carries the content of the frames.
        @Override
        public void save(DataOutput out) throws IOException {
            out.writeByte(nextVictim);
            for (int page : pageIn) {
                out.writeByte(page);
            }
            out.writeByte(evicted.size());
            for (Map.Entry<Integer, byte[]> page : evicted.entrySet()) {
                out.writeByte(page.getKey());
                out.write(page.getValue());
            }
        }

        /// Everything is read and checked before anything changes.
        @Override
        public void restore(int version, DataInput in) throws IOException {
            if (version != 1) {
                throw new MdevException(Errno.EINVAL, "version=" + version);
            }
            int victim = checked(in.readByte(), 0, FRAMES);
            Set<Integer> seen = new HashSet<>();
            int[] pages = new int[FRAMES];
            for (int frame = 0; frame < FRAMES; frame++) {
                pages[frame] = checked(in.readByte(), NONE, PAGES);
                requireFirst(pages[frame] == NONE || seen.add(pages[frame]));
            }
            int count = checked(in.readByte(), 0, PAGES + 1);
            TreeMap<Integer, byte[]> others = new TreeMap<>();
            for (int i = 0; i < count; i++) {
                int page = checked(in.readByte(), 0, PAGES);
                requireFirst(seen.add(page));
                byte[] content = new byte[Page.SIZE];
                in.readFully(content);
                others.put(page, content);
            }
            nextVictim = victim;
            System.arraycopy(pages, 0, pageIn, 0, FRAMES);
            evicted.clear();
            evicted.putAll(others);
        }

        private static int checked(int value, int least, int end) throws IOException {
            if (value < least || value >= end) {
                throw new IOException("value=%d wanted=%d..%d".formatted(value, least, end - 1));
            }
            return value;
        }

        private static void requireFirst(boolean isFirst) throws IOException {
            if (!isFirst) {
                throw new IOException("a page is in two places");
            }
        }
    }
}
