package dev.mdev.core.vm;

import dev.mdev.api.Aperture;
import dev.mdev.api.DeviceState;
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
import dev.mdev.api.page.Page;
import dev.mdev.api.page.Prot;
import dev.mdev.core.support.TestParent;

import org.jspecify.annotations.Nullable;

import java.io.DataInput;
import java.io.DataOutput;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;

/// A driver of PCI functions that a test describes. BAR 0's pages are those of its share, whether a
/// guest reaches them by a mapping or traps; all other regions are bytes of their own.
final class PciDriver implements ParentDriver {
    static final String PARENT = "pci0";
    static final String TYPE = "function";
    static final int PAGES = 16;
    static final int DEVICES = 8;

    private static final MdevType DEVICE_TYPE =
            new MdevType(
                    TYPE,
                    "test",
                    "16 pages",
                    MdevType.VFIO_PCI,
                    List.of(new MdevType.Demand("memory", PAGES, 1, true)),
                    DEVICES);

    /// The description of the next device.
    volatile List<RegionInfo> regions =
            List.of(
                    RegionInfo.of(0, "memory", Page.bytesOf(PAGES), RegionArea.Kind.LAZY),
                    RegionInfo.of(2, "registers", 256, RegionArea.Kind.TRAPPED));

    volatile IrqInfo irqs = new IrqInfo(true, 4, 8);
    volatile PciOptions options = PciOptions.DEFAULT;
    volatile PciIdentity identity = new PciIdentity(0x1234, 0x11e9, 0x038000, 2, 0x1af4, 0x1100);

    final List<Device> devices = new CopyOnWriteArrayList<>();
    private @Nullable Aperture aperture;

    @Override
    public String name() {
        return "pci-test";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        aperture = host.allocateAperture("test", (long) PAGES * DEVICES);
        return List.of(new TestParent(PARENT, aperture, DEVICE_TYPE, this::create));
    }

    private Device create(MdevContext context) {
        Device device = new Device(context);
        devices.add(device);
        return device;
    }

    Aperture aperture() {
        return Objects.requireNonNull(aperture);
    }

    /// One device; records the requests to it.
    final class Device implements MdevDevice {
        final MdevContext context;
        final List<MapRequest> requests = new CopyOnWriteArrayList<>();
        final List<String> events = new CopyOnWriteArrayList<>();
        final byte[] registers = new byte[1 << 20];
        private final List<RegionInfo> itsRegions = regions;
        private final IrqInfo itsIrqs = irqs;
        private final PciOptions itsOptions = options;
        private final PciIdentity itsIdentity = identity;

        /// Runs when memory goes that is pinned.
        volatile Runnable whenUnmapped = () -> {};

        volatile Runnable whenReset = () -> {};

        /// Runs when the guest stored to a watched page.
        volatile Runnable whenGuestWrote = () -> {};

        /// Runs when a register is written.
        volatile Runnable whenWritten = () -> {};

        volatile boolean savable = true;

        volatile Runnable whenStopped = () -> {};

        volatile Runnable whenResumed = () -> {};

        volatile Runnable whenSaved = () -> {};

        /// Runs when a mapping is asked for.
        volatile Runnable whenAsked = () -> {};

        Device(MdevContext context) {
            this.context = context;
        }

        GuestMemory memory() {
            return context.guestMemory();
        }

        private long offsetOf(long page) {
            long pfn = context.share("memory").pfnOf(page);
            return Page.addressOf(pfn - aperture().pfns().firstPfn());
        }

        long memoryLong(long offsetBytes) {
            MemorySegment value = MemorySegment.ofArray(new long[1]);
            aperture().read(offsetOf(0) + offsetBytes, value);
            return value.get(java.lang.foreign.ValueLayout.JAVA_LONG, 0);
        }

        void readMemory(long offsetBytes, MemorySegment bytes) {
            aperture().read(offsetOf(0) + offsetBytes, bytes);
        }

        @Override
        public List<RegionInfo> regions() {
            return itsRegions;
        }

        @Override
        public PciIdentity identity() {
            return itsIdentity;
        }

        @Override
        public IrqInfo irqs() {
            return itsIrqs;
        }

        @Override
        public PciOptions pci() {
            return itsOptions;
        }

        @Override
        public MapDecision validateMapRequest(MapRequest request) {
            requests.add(request);
            whenAsked.run();
            return MapDecision.grantPage(
                    request,
                    context.share("memory").pfnOf(request.page() % PAGES),
                    Prot.READ_WRITE);
        }

        @Override
        public long read(int region, long offsetBytes, int widthBytes) {
            events.add("read %d+%d/%d".formatted(region, offsetBytes, widthBytes));
            byte[] bytes = new byte[widthBytes];
            if (region == 0) {
                aperture().read(offsetOf(0) + offsetBytes, MemorySegment.ofArray(bytes));
            } else {
                System.arraycopy(registers, (int) offsetBytes, bytes, 0, widthBytes);
            }
            long value = 0;
            for (int i = 0; i < widthBytes; i++) {
                value |= (bytes[i] & 0xffL) << (8 * i);
            }
            return value;
        }

        @Override
        public void write(int region, long offsetBytes, int widthBytes, long value) {
            events.add("write %d+%d/%d=%x".formatted(region, offsetBytes, widthBytes, value));
            whenWritten.run();
            byte[] bytes = new byte[widthBytes];
            for (int i = 0; i < widthBytes; i++) {
                bytes[i] = (byte) (value >>> (8 * i));
            }
            if (region == 0) {
                aperture().write(offsetOf(0) + offsetBytes, MemorySegment.ofArray(bytes));
            } else {
                System.arraycopy(bytes, 0, registers, (int) offsetBytes, widthBytes);
            }
        }

        @Override
        public void dmaUnmapped(long iova, long lengthBytes) {
            events.add("dmaUnmapped %x+%x".formatted(iova, lengthBytes));
            whenUnmapped.run();
        }

        @Override
        public void guestWrote(long iova, int widthBytes, long value) {
            events.add("guestWrote %x+%d=%x".formatted(iova, widthBytes, value));
            whenGuestWrote.run();
        }

        @Override
        public void reset() {
            events.add("reset");
            whenReset.run();
        }

        @Override
        public Optional<DeviceState> state() {
            return savable ? Optional.of(new State()) : Optional.empty();
        }

        @Override
        public void close() {
            events.add("close");
        }

        /// The first registers.
        private final class State implements DeviceState {
            private static final int SAVED_BYTES = 4096;

            @Override
            public void stop() {
                events.add("stop");
                whenStopped.run();
            }

            @Override
            public void resume() {
                events.add("resume");
                whenResumed.run();
            }

            @Override
            public int version() {
                return 1;
            }

            @Override
            public void save(DataOutput out) throws IOException {
                whenSaved.run();
                out.write(registers, 0, SAVED_BYTES);
            }

            @Override
            public void restore(int version, DataInput in) throws IOException {
                in.readFully(registers, 0, SAVED_BYTES);
            }
        }
    }
}
