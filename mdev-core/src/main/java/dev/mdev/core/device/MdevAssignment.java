package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.GrantCheck;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;
import dev.mdev.api.RegionArea;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.driver.DriverOutcome;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.hostmm.Vma;
import dev.mdev.core.mapping.RegionVmaOps;
import dev.mdev.core.pci.FunctionBackend;
import dev.mdev.core.pci.GuestPort;
import dev.mdev.core.pci.PciProfile;
import dev.mdev.core.pci.RegionAccess;

import java.util.Optional;
import java.util.concurrent.atomic.AtomicBoolean;

/// A device for the time that one machine has it, from [Mdev#assign] to [#close].
///
/// Any thread may call all methods. A register access that was in progress when the machine
/// released the device, and gets its turn later, fails with ENODEV.
public final class MdevAssignment implements FunctionBackend, AutoCloseable {
    private final Mdev mdev;
    private final AtomicBoolean closed = new AtomicBoolean();

    MdevAssignment(Mdev mdev) {
        this.mdev = mdev;
    }

    /// The device.
    public Mdev mdev() {
        return mdev;
    }

    @Override
    public PciProfile profile() {
        return mdev.profile();
    }

    @Override
    public void connect(GuestPort port) {
        mdev.requireHolder(this);
        mdev.connect(port);
    }

    /// Reserves the addresses of one area of a region in a guest's host address space. Nothing is
    /// mapped yet, and no driver code runs.
    ///
    /// @throws MdevException EINVAL if the area is trapped; otherwise as [HostMm#reserve]
    public Vma map(HostMm mm, RegionInfo region, RegionArea area) {
        if (area.kind() == RegionArea.Kind.TRAPPED) {
            throw new MdevException(
                    Errno.EINVAL,
                    "a trapped area is not mapped: mdev=%s region=%d"
                            .formatted(mdev.uuid(), region.index()));
        }
        DriverObject driver = mdev.driver();
        return mdev.mappings()
                .map(
                        mm,
                        region.index(),
                        area,
                        new RegionVmaOps(
                                region.index(),
                                area,
                                driver::get,
                                driver.calls(),
                                new RegionVmaOps.Checks(
                                        new GrantCheck(
                                                mdev.share(),
                                                mdev.parent().sharedPages(mdev.type()),
                                                mm.memory()::cachingOf),
                                        mdev.elastic(),
                                        mdev::faulted)));
    }

    /// Maps all of a range that [#map] reserved, as far as the driver grants it; other pages fault
    /// at their first access. For eager areas, once the guest can reach them. Calls the driver.
    public void populate(HostMm mm, Vma vma) {
        mm.populate(vma);
    }

    /// Revokes the mappings in a range that [#map] reserved; the next access faults. When it
    /// returns, no earlier access still uses the old pages.
    public void zap(HostMm mm, Vma vma) {
        mm.zap(vma.range());
    }

    /// Removes one mapping made by [#map].
    public void unmap(Vma vma) {
        mdev.mappings().unmap(vma);
    }

    @Override
    public RegionAccess read(int region, long offsetBytes, int widthBytes) {
        Optional<Refusal> outside = outsideOf(region, offsetBytes, widthBytes);
        if (outside.isPresent()) {
            return new RegionAccess.Failed(outside.get());
        }
        DriverOutcome<Long> outcome =
                mdev.calls()
                        .access(
                                "read",
                                () -> {
                                    mdev.requireHolder(this);
                                    return mdev.driver()
                                            .get()
                                            .read(region, offsetBytes, widthBytes);
                                });
        return switch (outcome) {
            case DriverOutcome.Returned<Long> returned ->
                    new RegionAccess.Done(returned.value() & maskOf(widthBytes));
            case DriverOutcome.Failed<Long> failed ->
                    failed(failed.refusal(), region, offsetBytes, widthBytes);
        };
    }

    @Override
    public RegionAccess write(int region, long offsetBytes, int widthBytes, long value) {
        Optional<Refusal> outside = outsideOf(region, offsetBytes, widthBytes);
        if (outside.isPresent()) {
            return new RegionAccess.Failed(outside.get());
        }
        long bits = value & maskOf(widthBytes);
        return mdev.calls()
                .runAccess(
                        "write",
                        () -> {
                            mdev.requireHolder(this);
                            mdev.driver().get().write(region, offsetBytes, widthBytes, bits);
                        })
                .map(refusal -> failed(refusal, region, offsetBytes, widthBytes))
                .orElse(new RegionAccess.Done(0));
    }

    /// A failed access. The operator is told of EIO, the error of a broken device, and of all
    /// exceptions of the driver that say no other. Any other error is an answer to the guest, which
    /// may ask for it as often as it likes.
    private RegionAccess failed(Refusal refusal, int region, long offsetBytes, int widthBytes) {
        if (refusal.errno() == Errno.EIO) {
            mdev.driver()
                    .tell(
                            "region=%d offset=0x%x widthBytes=%d: %s"
                                    .formatted(region, offsetBytes, widthBytes, refusal.reason()));
        }
        return new RegionAccess.Failed(refusal);
    }

    @Override
    public RegionAccess ring(int doorbell) {
        try {
            mdev.requireHolder(this);
            mdev.driver().doorbells().ring(doorbell);
            return new RegionAccess.Done(0);
        } catch (MdevException e) {
            return new RegionAccess.Failed(Refusal.of(e));
        }
    }

    private Optional<Refusal> outsideOf(int region, long offsetBytes, int widthBytes) {
        boolean inside =
                mdev.regions().stream()
                        .anyMatch(info ->
                                info.index() == region
                                        && offsetBytes >= 0
                                        && widthBytes >= 1
                                        && offsetBytes <= info.sizeBytes() - widthBytes);
        return inside
                ? Optional.empty()
                : Optional.of(
                        new Refusal(
                                Errno.EINVAL,
                                "access leaves the region: region=%d offset=0x%x widthBytes=%d"
                                        .formatted(region, offsetBytes, widthBytes)));
    }

    private static long maskOf(int widthBytes) {
        return widthBytes >= Long.BYTES ? -1L : (1L << (widthBytes * 8)) - 1;
    }

    @Override
    public Optional<Refusal> reset() {
        Optional<Refusal> refusal = mdev.reset(this);
        if (refusal.isEmpty()) {
            mdev.wasResetByGuest();
        } else if (refusal.get().errno() != Errno.ENODEV) {
            // If it did not change hands, the driver failed.
            mdev.driver().tell(refusal.get().reason());
        }
        return refusal;
    }

    /// Releases the device: removes all mappings, cuts the driver off from the guest, and resets
    /// the device fully before its next assignment. If the reset fails, the host refuses to assign
    /// the device until a [Mdev#reset] succeeds. Closing again does nothing.
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            mdev.takeBack();
        }
    }

    @Override
    public String toString() {
        return mdev.toString();
    }
}
