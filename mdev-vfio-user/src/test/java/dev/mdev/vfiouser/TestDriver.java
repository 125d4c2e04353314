package dev.mdev.vfiouser;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.FilePages;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.IrqInfo;
import dev.mdev.api.MapDecision;
import dev.mdev.api.MapRequest;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.PciOptions;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Function;

/// A driver whose devices have mapped pages in BAR 0 (page 3 is denied, page 4 is trapped, page 5
/// read-only), registers in BAR 2, and a ROM.
final class TestDriver implements ParentDriver {
    static final String PARENT = "test0";
    static final String TYPE = "function";
    static final int PAGES = 16;
    static final int DEVICES = 4;
    static final int MEMORY_BAR = 0;
    static final int REGISTER_BAR = 2;
    static final int REGISTER_BYTES = 4096;
    static final int DOORBELL = 0xff8;
    static final int DENIED_PAGE = 3;
    static final int TRAPPED_PAGE = 4;
    static final int READONLY_PAGE = 5;

    private static final MdevType DEVICE_TYPE =
            new MdevType(
                    TYPE,
                    "test",
                    "16 pages",
                    MdevType.VFIO_PCI,
                    List.of(new MdevType.Demand("memory", PAGES, 1, true)),
                    DEVICES);

    final List<Device> devices = new CopyOnWriteArrayList<>();
    private final Optional<Path> file;
    private @Nullable Aperture aperture;

    /// @param file has the devices' memory, as a file of sysfs has that of a physical device;
    ///   otherwise it is the host's
    TestDriver(Optional<Path> file) {
        this.file = file;
    }

    @Override
    public String name() {
        return "vfio-user-test";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        long npages = (long) PAGES * DEVICES;
        Aperture made =
                file.map(it ->
                                host.mapAperture(
                                        "test",
                                        List.of(new FilePages(it, 0, npages, Caching.UNCACHED))))
                        .orElseGet(() -> host.allocateAperture("test", npages));
        aperture = made;
        return List.of(new Parent(made, this::create));
    }

    private MdevDevice create(MdevContext context) {
        Device device = new Device(context);
        devices.add(device);
        return device;
    }

    Device last() {
        return devices.getLast();
    }

    private Aperture aperture() {
        return Objects.requireNonNull(aperture);
    }

    private record Parent(Aperture aperture, Function<MdevContext, MdevDevice> devices)
            implements ParentDevice {
        @Override
        public String name() {
            return PARENT;
        }

        @Override
        public String description() {
            return "a parent for tests";
        }

        @Override
        public List<ResourcePool> pools() {
            return List.of(new ResourcePool("memory", aperture.pfns()));
        }

        @Override
        public List<MdevType> types() {
            return List.of(DEVICE_TYPE);
        }

        @Override
        public MdevDevice create(MdevContext context) {
            return devices.apply(context);
        }

        @Override
        public void close() {}
    }

    /// One device.
    final class Device implements MdevDevice {
        final MdevContext context;
        final List<String> events = new CopyOnWriteArrayList<>();
        final byte[] registers = new byte[REGISTER_BYTES];

        /// Runs inside a write of register 0.
        volatile Runnable whenWritten = () -> {};

        /// Runs when the doorbell rings.
        volatile Runnable whenRung = () -> {};

        /// Runs when the device gets a holder.
        volatile Runnable whenAssigned = () -> {};

        volatile Runnable whenReset = () -> {};
        volatile Runnable whenUnmapped = () -> {};

        Device(MdevContext context) {
            this.context = context;
        }

        GuestMemory memory() {
            return context.guestMemory();
        }

        /// The first long of a page of the device's memory, as the device sees it.
        long memoryLong(int page) {
            MemorySegment value = MemorySegment.ofArray(new long[1]);
            aperture().read(offsetOf(page), value);
            return value.get(ValueLayout.JAVA_LONG, 0);
        }

        private long offsetOf(int page) {
            long pfn = context.share("memory").pfnOf(page);
            return Page.addressOf(pfn - aperture().pfns().firstPfn());
        }

        @Override
        public List<RegionInfo> regions() {
            return List.of(
                    RegionInfo.of(MEMORY_BAR, "memory", Page.bytesOf(PAGES), RegionArea.Kind.LAZY),
                    RegionInfo.of(
                            REGISTER_BAR, "registers", REGISTER_BYTES, RegionArea.Kind.TRAPPED),
                    RegionInfo.of(RegionInfo.ROM, "rom", 2048, RegionArea.Kind.TRAPPED));
        }

        @Override
        public PciIdentity identity() {
            return new PciIdentity(0x1234, 0x11e9, 0x038000, 2, 0x1af4, 0x1100);
        }

        @Override
        public IrqInfo irqs() {
            return new IrqInfo(true, 4, 8);
        }

        @Override
        public PciOptions pci() {
            return PciOptions.EXPRESS;
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            return switch ((int) request.page()) {
                case DENIED_PAGE ->
                        throw new dev.mdev.api.MdevException(dev.mdev.api.Errno.EACCES, "denied");
                case TRAPPED_PAGE -> new MapDecision.Trap();
                default ->
                        MapDecision.grantPage(
                                request,
                                context.share("memory").pfnOf(request.page()),
                                request.page() == READONLY_PAGE ? Prot.READ : Prot.READ_WRITE);
            };
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            events.add("read %d+%d/%d".formatted(region, offsetBytes, widthBytes));
            if (region == RegionInfo.ROM) {
                return 0xaa55;
            }
            long value = 0;
            for (int i = widthBytes - 1; i >= 0; i--) {
                int at = (int) (offsetBytes + i) % REGISTER_BYTES;
                value = value << 8 | (registers[at] & 0xffL);
            }
            return value;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            events.add("write %d+%d/%d=%x".formatted(region, offsetBytes, widthBytes, value));
            for (int i = 0; i < widthBytes; i++) {
                registers[(int) (offsetBytes + i) % REGISTER_BYTES] = (byte) (value >>> (8 * i));
            }
            if (region == REGISTER_BAR && offsetBytes == 0) {
                whenWritten.run();
            }
        }

        @Override
        public List<DoorbellInfo> doorbells() {
            return List.of(new DoorbellInfo(REGISTER_BAR, DOORBELL, 4));
        }

        @Override
        public DoorbellInfo.Answer rung(int doorbell) {
            events.add("rung");
            whenRung.run();
            return DoorbellInfo.Answer.DONE;
        }

        @Override
        public void dmaUnmapped(long iova, long lengthBytes) {
            events.add("dmaUnmapped %x+%x".formatted(iova, lengthBytes));
            whenUnmapped.run();
        }

        @Override
        public void assigned(boolean held) {
            if (held) {
                whenAssigned.run();
            }
        }

        @Override
        public void reset() {
            events.add("reset");
            java.util.Arrays.fill(registers, (byte) 0);
            whenReset.run();
        }

        @Override
        public Optional<DeviceState> state() {
            return Optional.of(new State());
        }

        @Override
        public void close() {
            events.add("close");
        }

        private final class State implements DeviceState {
            @Override
            public int version() {
                return 1;
            }

            @Override
            public void stop() {
                events.add("stop");
            }

            @Override
            public void resume() {
                events.add("resume");
            }

            @Override
            public void save(DataOutput out) throws IOException {
                out.write(registers);
            }

            @Override
            public void restore(int version, DataInput in) throws IOException {
                in.readFully(registers);
            }
        }
    }
}
