package dev.mdev.core.engine;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PoolShare;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;
import dev.mdev.core.support.TestParent;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Function;

/// A driver whose answers a test sets: one parent with [#POOL_PAGES] pages, devices of
/// [#DEVICE_PAGES] pages with a lazy BAR 0 and a trapped BAR 2 of one page.
public final class ScriptedDriver implements ParentDriver {
    public static final String PARENT = "test0";
    public static final String TYPE = "test-64p";
    public static final long DEVICE_PAGES = 64;
    public static final long POOL_PAGES = 2 * DEVICE_PAGES + 8;
    public static final int LAZY_BAR = 0;
    public static final int TRAPPED_BAR = 2;

    private static final MdevType DEVICE_TYPE =
            new MdevType(
                    TYPE,
                    "test",
                    "64 pages",
                    MdevType.VFIO_PCI,
                    List.of(new MdevType.Demand("vram", DEVICE_PAGES, 1, false)),
                    16);

    /// What each device answers; by default one page, readable and writable.
    public volatile BiFunction<Device, MapRequest, MapDecision> answer =
            (device, request) ->
                    MapDecision.grantPage(request, device.pfnOf(request.page()), Prot.READ_WRITE);

    /// What the lazy area declares ([RegionArea#aheadPages]); to be set before a device is made.
    public volatile int aheadPages;

    /// The doorbells of each device; to be set before a device is made.
    public volatile List<DoorbellInfo> doorbells = List.of();

    /// What each device does when a doorbell rings, besides counting.
    public volatile Function<Device, DoorbellInfo.Answer> onRing =
            device -> DoorbellInfo.Answer.DONE;

    /// What each device does in the callbacks after which its grants mean something else: `reset`,
    /// `restore`, `shareMoved`, `released` by its holder, and `close`.
    public volatile BiConsumer<Device, String> onChange = (device, callback) -> {};

    public final List<Device> devices = new CopyOnWriteArrayList<>();
    public @Nullable Aperture aperture;

    @Override
    public String name() {
        return "scripted";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        aperture = host.allocateAperture("test", POOL_PAGES);
        return List.of(new TestParent(PARENT, aperture, DEVICE_TYPE, this::create));
    }

    private Device create(MdevContext context) {
        Device device = new Device(context);
        devices.add(device);
        return device;
    }

    public Aperture aperture() {
        return Objects.requireNonNull(aperture);
    }

    /// One device; records the requests to it. It has no state outside its pages.
    public final class Device implements MdevDevice, DeviceState {
        public final MdevContext context;
        public final List<MapRequest> requests = new CopyOnWriteArrayList<>();
        public final List<String> registerAccesses = new CopyOnWriteArrayList<>();
        public final AtomicInteger resets = new AtomicInteger();
        public final AtomicInteger rings = new AtomicInteger();
        public volatile boolean closed;
        public volatile @Nullable RuntimeException registerFailure;
        private final List<Long> registers = new ArrayList<>();

        Device(MdevContext context) {
            this.context = context;
            for (int i = 0; i < Page.SIZE / Long.BYTES; i++) {
                registers.add(0L);
            }
        }

        /// The device's page `index`.
        public long pfnOf(long index) {
            return context.share("vram").pfnOf(index);
        }

        public PfnRange extentFrom(long index) {
            return context.share("vram").extentFrom(index);
        }

        @Override
        public List<RegionInfo> regions() {
            long sizeBytes = Page.bytesOf(DEVICE_PAGES);
            RegionArea lazy = new RegionArea(0, sizeBytes, RegionArea.Kind.LAZY, aheadPages);
            return List.of(
                    new RegionInfo(LAZY_BAR, "vram", sizeBytes, List.of(lazy)),
                    RegionInfo.of(TRAPPED_BAR, "regs", Page.SIZE, RegionArea.Kind.TRAPPED));
        }

        @Override
        public List<DoorbellInfo> doorbells() {
            return doorbells;
        }

        @Override
        public DoorbellInfo.Answer rung(int doorbell) {
            rings.incrementAndGet();
            return onRing.apply(this);
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            requests.add(request);
            return answer.apply(this, request);
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            registerAccesses.add("r" + region + "+" + offsetBytes + "/" + widthBytes);
            if (registerFailure != null) {
                throw registerFailure;
            }
            return registers.get((int) offsetBytes / Long.BYTES)
                    >>> (offsetBytes % Long.BYTES * Byte.SIZE);
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            registerAccesses.add("w" + region + "+" + offsetBytes + "/" + widthBytes + "=" + value);
            if (registerFailure != null) {
                throw registerFailure;
            }
            registers.set((int) offsetBytes / Long.BYTES, value);
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        @Override
        public void save(DataOutput out) {}

        @Override
        public void restore(int version, DataInput in) {
            onChange.accept(this, "restore");
        }

        @Override
        public boolean isMovable() {
            return true;
        }

        @Override
        public void shareMoved(List<PoolShare> share) {
            onChange.accept(this, "shareMoved");
        }

        @Override
        public void assigned(boolean held) {
            if (!held) {
                onChange.accept(this, "released");
            }
        }

        @Override
        public void reset() {
            resets.incrementAndGet();
            onChange.accept(this, "reset");
        }

        @Override
        public void close() {
            closed = true;
            onChange.accept(this, "close");
        }
    }
}
