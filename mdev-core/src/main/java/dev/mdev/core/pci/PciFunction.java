package dev.mdev.core.pci;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory;
import dev.mdev.api.Interrupts;
import dev.mdev.api.MdevException;
import dev.mdev.api.MsixPlacement;
import dev.mdev.api.Refusal;
import dev.mdev.api.RegionInfo;

import org.jspecify.annotations.Nullable;

import java.util.List;
import java.util.Objects;

/// A mediated device as a PCI function, for the time of one assignment: configuration space,
/// interrupts, and the way to the driver's regions. The owner maps its memory, as [#config] says.
///
/// Any thread may call all methods, while it holds no lock of the framework, because most of them
/// may call driver code.
public final class PciFunction {
    private final FunctionBackend device;
    private final Owner owner;
    private final FunctionInterrupts interrupts;
    private final PciConfigSpace config;
    private final @Nullable MsixRegion msixRegion;
    private final List<DoorbellInfo> doorbells;

    /// The owner of the function.
    public interface Owner {
        /// BARs appeared, disappeared or moved: [PciConfigSpace#windows] has their places now.
        /// Returns when the guest reaches the new places. Called without a lock, by the thread that
        /// wrote.
        void windowsChanged();

        /// The receiver of interrupts, according to the guest's configuration space; null if the
        /// owner binds them itself by [InterruptSet#setIrqs].
        default @Nullable InterruptObserver observer() {
            return null;
        }

        /// One more than the highest guest-physical address.
        long gpaLimit();

        /// The host has reset the function: sets it up again, if that is the owner's task.
        default void runFirmware() {}
    }

    /// @param device the device behind the function
    public PciFunction(FunctionBackend device, Owner owner) {
        this.device = device;
        this.owner = owner;
        PciProfile profile = device.profile();
        doorbells = profile.doorbells();
        interrupts =
                new FunctionInterrupts(
                        profile.irqs(), profile.options().express(), owner.observer());
        config = new PciConfigSpace(profile, interrupts, owner.gpaLimit());
        MsixPlacement place = profile.bars().msix().orElse(null);
        msixRegion =
                place == null
                        ? null
                        : new MsixRegion(place, Objects.requireNonNull(interrupts.msix()));
    }

    /// Connects the driver to the guest through this function.
    ///
    /// @param memory the guest's memory
    public void connect(GuestMemory memory) {
        device.connect(new Port(memory));
    }

    public PciConfigSpace config() {
        return config;
    }

    public InterruptSet interrupts() {
        return interrupts.set();
    }

    /// What its interrupts are now.
    public InterruptState interruptState() {
        return interrupts.state();
    }

    /// The BARs in ascending order, the one that was added for MSI-X among them, then the ROM.
    public List<BarRegister> barRegisters() {
        return device.profile().bars().bars().stream().map(BarRegister::of).toList();
    }

    /// All regions of the function: the driver's, the BAR that was added for MSI-X if any, and
    /// configuration space.
    public List<RegionInfo> regions() {
        return device.profile().allRegions();
    }

    /// What the guest set up in the function, and what is pending: configuration space, BARs, the
    /// MSI-X table, masks, pending bits, the line. The driver's registers are not in it.
    ///
    /// @return bytes for [#restoreState]
    public byte[] saveState() {
        return interrupts.save(config.kind(), config.save()).toBytes();
    }

    /// Restores what [#saveState] saved, of a function of the same kind, after power-on. When this
    /// returns, BARs are where the registers say.
    ///
    /// @throws MdevException EPROTO if the bytes are malformed, EOPNOTSUPP if their version is
    ///   unknown, EINVAL if they are those of another function; the function must then be given up
    public void restoreState(byte[] state) {
        FunctionState saved = FunctionState.of(state);
        if (saved.kind() != config.kind()
                || !interrupts.fits(saved)
                || !interrupts.restoreVectors(saved)) {
            throw foreign();
        }
        boolean windowsChanged = config.restore(saved.config()).orElseThrow(this::foreign);
        interrupts.restoreLine(saved);
        if (windowsChanged) {
            owner.windowsChanged();
        }
    }

    private MdevException foreign() {
        return new MdevException(
                Errno.EINVAL, "the state of another function is not for %s".formatted(device));
    }

    /// Reads configuration space.
    ///
    /// @param offsetBytes any value; bytes outside read as ones
    /// @param widthBytes 1 to 8
    public long readConfig(int offsetBytes, int widthBytes) {
        return config.read(offsetBytes, widthBytes);
    }

    /// Writes configuration space as a guest, and applies the effects. When this returns, BARs are
    /// where the registers say.
    ///
    /// @param offsetBytes any value; bytes outside are ignored
    /// @param widthBytes 1 to 8
    /// @return the failure of a driver's reset if the write reset the function, otherwise done
    public RegionAccess writeConfig(int offsetBytes, int widthBytes, long value) {
        PciConfigSpace.Written written = config.write(offsetBytes, widthBytes, value);
        if (written.windowsChanged()) {
            owner.windowsChanged();
        }
        return written.resetRequested()
                ? device.reset()
                        .<RegionAccess>map(RegionAccess.Failed::new)
                        .orElse(new RegionAccess.Done(0))
                : new RegionAccess.Done(0);
    }

    /// Reads a trapped part of a region, or any other part as if it were trapped.
    ///
    /// @param offsetBytes in the region
    /// @param widthBytes 1 to 8
    /// @return EIO from a BAR or the ROM while memory decoding is off, EINVAL outside the region;
    ///   otherwise the driver's answer
    public RegionAccess read(int region, long offsetBytes, int widthBytes) {
        if (region == RegionInfo.CONFIG) {
            return new RegionAccess.Done(readConfig(configOffset(offsetBytes), widthBytes));
        }
        RegionAccess outcome = readIfDecoded(region, offsetBytes, widthBytes);
        return outcome == null ? notDecoded(region) : outcome;
    }

    /// Reads a BAR or the ROM as a bus does, for which a missing answer is no failure: this checks
    /// memory decoding once, so a guest that turns it off and on cannot turn a missed access into a
    /// failure.
    ///
    /// @return null if memory decoding is off; otherwise as [#read]
    public @Nullable RegionAccess readIfDecoded(int region, long offsetBytes, int widthBytes) {
        if (needsDecoding(region) && !config.decodesMemory()) {
            return null;
        }
        MsixRegion msix = msixRegion;
        return msix != null && msix.touches(region, offsetBytes, widthBytes)
                ? msix.read(offsetBytes, widthBytes, this::readDriver)
                : readDriver(region, offsetBytes, widthBytes);
    }

    /// An offset into configuration space; an offset outside stays outside.
    private static int configOffset(long offsetBytes) {
        return Math.clamp(offsetBytes, -Long.BYTES, 1 << 16);
    }

    /// Writes; otherwise as [#read]. A write to the ROM is ignored.
    public RegionAccess write(int region, long offsetBytes, int widthBytes, long value) {
        if (region == RegionInfo.CONFIG) {
            return writeConfig(configOffset(offsetBytes), widthBytes, value);
        }
        RegionAccess outcome = writeIfDecoded(region, offsetBytes, widthBytes, value);
        return outcome == null ? notDecoded(region) : outcome;
    }

    /// Writes a BAR as a bus does; otherwise as [#readIfDecoded].
    ///
    /// @return null if memory decoding is off; otherwise as [#write]
    public @Nullable RegionAccess writeIfDecoded(
            int region, long offsetBytes, int widthBytes, long value) {
        if (needsDecoding(region) && !config.decodesMemory()) {
            return null;
        }
        if (region == RegionInfo.ROM) {
            return new RegionAccess.Done(0);
        }
        for (int i = 0; i < doorbells.size(); i++) {
            if (isAt(doorbells.get(i), region, offsetBytes, widthBytes)) {
                return device.ring(i);
            }
        }
        MsixRegion msix = msixRegion;
        return msix != null && msix.touches(region, offsetBytes, widthBytes)
                ? msix.write(offsetBytes, widthBytes, value, this::writeDriver)
                : writeDriver(region, offsetBytes, widthBytes, value);
    }

    private static boolean isAt(
            DoorbellInfo doorbell, int region, long offsetBytes, int widthBytes) {
        return doorbell.offsetBytes() == offsetBytes
                && doorbell.region() == region
                && doorbell.widthBytes() == widthBytes;
    }

    /// The doorbells of the driver: a store to one may ring without a [#write], by [#ring].
    public List<DoorbellInfo> doorbells() {
        return doorbells;
    }

    /// Rings a doorbell: what a store to its place does. Does nothing if memory decoding is off, or
    /// the device is lost.
    ///
    /// @param doorbell its position in [#doorbells]
    public void ring(int doorbell) {
        if (config.decodesMemory()) {
            var _ = device.ring(doorbell);
        }
    }

    private static boolean needsDecoding(int region) {
        return region <= RegionInfo.ROM || region == RegionInfo.VGA;
    }

    private RegionAccess notDecoded(int region) {
        return new RegionAccess.Failed(
                new Refusal(
                        Errno.EIO,
                        "memory decoding is off: %s region=%d".formatted(device, region)));
    }

    private boolean isAdded(int region) {
        return device.profile()
                .bars()
                .addedForMsix()
                .filter(added -> added.index() == region)
                .isPresent();
    }

    private RegionAccess readDriver(int region, long offsetBytes, int widthBytes) {
        return isAdded(region)
                ? new RegionAccess.Done(0)
                : device.read(region, offsetBytes, widthBytes);
    }

    private RegionAccess writeDriver(int region, long offsetBytes, int widthBytes, long value) {
        return isAdded(region)
                ? new RegionAccess.Done(0)
                : device.write(region, offsetBytes, widthBytes, value);
    }

    /// The way from the driver back to this function.
    private final class Port implements GuestPort {
        private final GuestMemory memory;

        Port(GuestMemory memory) {
            this.memory = memory;
        }

        @Override
        public GuestMemory memory() {
            return memory;
        }

        @Override
        public Interrupts interrupts() {
            return interrupts.set();
        }

        @Override
        public void reset() {
            if (config.reset()) {
                owner.windowsChanged();
            }
        }

        @Override
        public void runFirmware() {
            owner.runFirmware();
        }

        @Override
        public void requestRelease() {
            interrupts.set().requestRelease();
        }
    }
}
