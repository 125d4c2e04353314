package dev.mdev.testkit.drivers;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.ExistingDevice;
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
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.PfnRange;
import dev.mdev.api.page.Prot;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.function.BiFunction;
import java.util.function.Supplier;

/// A driver without a bug, made for changes in one place: memory in region 0, a page of registers
/// in region 2, whose first 8 bytes keep stored values.
class Variant implements ParentDriver {
    static final int PAGES_A_DEVICE = 8;
    static final int DEVICES = 4;

    /// The driver with devices that are changed.
    static Supplier<Variant> of(BiFunction<Aperture, MdevContext, MdevDevice> device) {
        return () ->
                new Variant() {
                    @Override
                    MdevDevice create(Aperture aperture, MdevContext context) {
                        return device.apply(aperture, context);
                    }
                };
    }

    /// Hangs until it is interrupted.
    static void waitForEver() {
        try {
            new CountDownLatch(1).await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /// Waits, as a driver that is slow.
    static void pause(long millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    @Override
    public String name() {
        return "variant";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        return List.of(
                new VariantParent(host.allocateAperture("variant0", PAGES_A_DEVICE * DEVICES)));
    }

    String parentName() {
        return "variant0";
    }

    List<ResourcePool> pools(Aperture aperture) {
        return List.of(new ResourcePool("memory", aperture.pfns()));
    }

    int maxInstances() {
        return DEVICES;
    }

    String description() {
        return "Memory and one register";
    }

    List<MdevType> types() {
        return List.of(type("variant-8", new MdevType.Demand("memory", PAGES_A_DEVICE, 2, false)));
    }

    MdevType type(String id, MdevType.Demand... demands) {
        return new MdevType(
                id, "Variant", "8 pages", MdevType.VFIO_PCI, List.of(demands), maxInstances());
    }

    List<ExistingDevice> existing(Aperture aperture) {
        return List.of();
    }

    MdevDevice adopt(Aperture aperture, MdevContext context) {
        return create(aperture, context);
    }

    MdevDevice create(Aperture aperture, MdevContext context) {
        return new VariantDevice(aperture, context);
    }

    final class VariantParent implements ParentDevice {
        private final Aperture aperture;

        VariantParent(Aperture aperture) {
            this.aperture = aperture;
        }

        @Override
        public String name() {
            return parentName();
        }

        @Override
        public String description() {
            return Variant.this.description();
        }

        @Override
        public Aperture aperture() {
            return aperture;
        }

        @Override
        public List<ResourcePool> pools() {
            return Variant.this.pools(aperture);
        }

        @Override
        public List<MdevType> types() {
            return Variant.this.types();
        }

        @Override
        public List<ExistingDevice> existing() {
            return Variant.this.existing(aperture);
        }

        @Override
        public MdevDevice adopt(MdevContext context) {
            return Variant.this.adopt(aperture, context);
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return Variant.this.create(aperture, context);
        }
    }

    /// A device without a bug.
    static class VariantDevice implements MdevDevice, DeviceState {
        static final int MEMORY = 0;
        static final int REGISTERS = 2;

        final Aperture aperture;
        final MdevContext context;
        PoolShare share;
        final byte[] scratch = new byte[Long.BYTES];

        VariantDevice(Aperture aperture, MdevContext context) {
            this.aperture = aperture;
            this.context = context;
            this.share = context.share("memory");
        }

        @Override
        public List<RegionInfo> regions() {
            return List.of(
                    RegionInfo.of(
                            MEMORY, "memory", Page.bytesOf(share.npages()), RegionArea.Kind.LAZY),
                    RegionInfo.of(REGISTERS, "registers", Page.SIZE, RegionArea.Kind.TRAPPED));
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return MapDecision.grantPage(request, pfnOf(request.page()), Prot.READ_WRITE);
        }

        long pfnOf(long page) {
            return share.pfnOf(page);
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            long value = 0;
            for (int i = widthBytes - 1; i >= 0; i--) {
                long at = offsetBytes + i;
                value = (value << 8) | (at < scratch.length ? scratch[(int) at] & 0xFF : 0);
            }
            return value;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            for (int i = 0; i < widthBytes && offsetBytes + i < scratch.length; i++) {
                scratch[(int) offsetBytes + i] = (byte) (value >>> (8 * i));
            }
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(this);
        }

        @Override
        public int version() {
            return 1;
        }

        @Override
        public void save(DataOutput out) throws IOException {
            out.write(scratch);
        }

        @Override
        public void restore(int version, DataInput in) throws IOException {
            if (version != 1) {
                throw new IOException("version=" + version);
            }
            in.readFully(scratch);
        }

        @Override
        public boolean isMovable() {
            return true;
        }

        @Override
        public void shareMoved(List<PoolShare> shares) {
            share = shares.getFirst();
        }

        @Override
        public Map<String, Long> counters() {
            return Map.of("scratch_bytes", (long) scratch.length);
        }

        @Override
        public void reset() {
            clearScratch();
            clearMemory();
        }

        void clearScratch() {
            write(REGISTERS, 0, Long.BYTES, 0);
        }

        void clearMemory() {
            for (PfnRange extent : share.extents()) {
                long offset = Page.bytesOf(extent.firstPfn() - aperture.pfns().firstPfn());
                aperture.fill(offset, Page.bytesOf(extent.npages()), (byte) 0);
            }
        }
    }
}
