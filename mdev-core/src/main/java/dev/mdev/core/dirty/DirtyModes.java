package dev.mdev.core.dirty;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.BitmapPolicy;
import dev.mdev.core.memslot.DirtyBitmap;

import org.jspecify.annotations.Nullable;

import java.util.concurrent.locks.ReentrantLock;

/// How one virtual machine tracks dirty pages: the capabilities that a VMM enables (Linux
/// `kvm_vm_ioctl_enable_cap_generic`), in its order of checks. As a [BitmapPolicy] it decides which
/// bitmap a slot gets.
///
/// ## Rings and `INITIALLY_SET` together
///
/// With `INITIALLY_SET`, Linux does not write-protect a slot when logging is turned on: its bitmap
/// starts with every bit set, so no write is missed, and clearing the log protects chunk by chunk.
/// With rings and no bitmap nothing starts set, but Linux still skips the protection: a page that
/// was mapped writable before is never reported. This class requests the protection in that case
/// ([#protectsOnLogStart]), unless it is to have Linux's defects.
///
/// The lock is a leaf, except that [#enable] takes the slots lock first.
public final class DirtyModes implements BitmapPolicy {
    /// An old form of [#MANUAL_PROTECT2]; must never be enabled.
    public static final int MANUAL_PROTECT = 166;

    /// `KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2`.
    public static final int MANUAL_PROTECT2 = 168;

    /// `KVM_CAP_DIRTY_LOG_RING`.
    public static final int RING = 192;

    /// `KVM_CAP_DIRTY_LOG_RING_ACQ_REL`.
    public static final int RING_ACQ_REL = 223;

    /// `KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP`.
    public static final int RING_WITH_BITMAP = 225;

    /// Reading the log leaves it unchanged (`KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE`).
    public static final int MANUAL_ENABLE = 1;

    /// New bitmaps start with every bit set (`KVM_DIRTY_LOG_INITIALLY_SET`).
    public static final int INITIALLY_SET = 2;

    private final AddressSpaces slots;
    private final DirtyHardware hardware;
    private final boolean ringDefects;
    private final ReentrantLock lock = new ReentrantLock();

    @GuardedBy("lock")
    private boolean vcpuCreated;

    private volatile int manualProtect;
    private volatile int ringSizeBytes;
    private volatile boolean bitmapBesideRing;
    private volatile boolean collectsRings;

    /// The modes of a machine without enabled capabilities.
    public DirtyModes(AddressSpaces slots, DirtyHardware hardware) {
        this(slots, hardware, false);
    }

    /// @param ringDefects whether rings lose the writes that Linux loses
    public DirtyModes(AddressSpaces slots, DirtyHardware hardware, boolean ringDefects) {
        this.slots = slots;
        this.hardware = hardware;
        this.ringDefects = ringDefects;
    }

    /// The answer of `KVM_CHECK_EXTENSION`: 0 for an absent extension.
    public int check(int capability) {
        return switch (capability) {
            case MANUAL_PROTECT2 -> MANUAL_ENABLE | INITIALLY_SET;
            case RING -> hardware.plainRing() ? DirtyRing.MAX_SIZE_BYTES : 0;
            case RING_ACQ_REL -> DirtyRing.MAX_SIZE_BYTES;
            case RING_WITH_BITMAP -> hardware.ringWithBitmap() ? 1 : 0;
            default -> 0;
        };
    }

    /// Enables a capability (`KVM_ENABLE_CAP` of the machine).
    ///
    /// @param capability the number, any
    /// @param flags the flags of the request
    /// @param optionBits the first argument of the request: for [#MANUAL_PROTECT2] its bits, for a
    ///   ring its size in bytes, of which only the low 32 bits count
    /// @throws MdevException `EINVAL`, or `E2BIG` for a ring that is too large
    public void enable(int capability, int flags, long optionBits) {
        slots.requireAlive();
        switch (capability) {
            case MANUAL_PROTECT2 -> enableManualProtect(flags, optionBits);
            case RING, RING_ACQ_REL -> enableRing(capability, (int) optionBits);
            case RING_WITH_BITMAP -> enableBitmapBesideRing(flags);
            default -> throw refused("capability=%d".formatted(capability));
        }
    }

    /// Whether reading the log leaves it unchanged.
    public boolean isManualProtect() {
        return (manualProtect & MANUAL_ENABLE) != 0;
    }

    /// Whether new bitmaps start with every bit set.
    public boolean isInitiallySet() {
        return manualProtect == (MANUAL_ENABLE | INITIALLY_SET);
    }

    /// Whether vCPUs have rings.
    public boolean usesRing() {
        return ringSizeBytes != 0;
    }

    /// Whether there are bitmaps (Linux `kvm_use_dirty_bitmap`).
    public boolean usesBitmap() {
        return !usesRing() || bitmapBesideRing;
    }

    /// Gives slots bitmaps although the machine has rings only: the VMM's own, for what a
    /// [DirtyRingCollector] takes from the rings and for writes that no vCPU made. The calls of
    /// Linux that read bitmaps stay refused (ENXIO). Before rings are enabled.
    public void collectRings() {
        collectsRings = true;
    }

    /// Whether there are rings for a [DirtyRingCollector].
    public boolean hasCollectedRings() {
        return usesRing() && collectsRings;
    }

    /// Whether slots that log have bitmaps, of whichever kind.
    boolean hasBitmaps() {
        return usesBitmap() || collectsRings;
    }

    /// Whether it is too late to enable rings, because a vCPU exists.
    public boolean isVcpuCreated() {
        lock.lock();
        try {
            return vcpuCreated;
        } finally {
            lock.unlock();
        }
    }

    /// Bytes of a vCPU's ring, 0 without rings.
    public int ringSizeBytes() {
        return ringSizeBytes;
    }

    /// Entries of a ring that the soft limit keeps free.
    public int reservedEntries() {
        return DirtyRing.RESERVED_ENTRIES + hardware.cpuLogEntries();
    }

    /// Whether the pages of a slot must be write-protected when it starts to log.
    public boolean protectsOnLogStart() {
        return !isInitiallySet() || (!usesBitmap() && !ringDefects);
    }

    @Override
    public @Nullable DirtyBitmap newBitmap(long npages) {
        if (!hasBitmaps()) {
            return null;
        }
        return isInitiallySet() && usesBitmap()
                ? DirtyBitmap.allOnes(npages)
                : new DirtyBitmap(npages);
    }

    /// Announces a vCPU: from now on no ring can be enabled.
    ///
    /// @return bytes of the vCPU's ring, 0 without rings
    int vcpuCreated() {
        lock.lock();
        try {
            vcpuCreated = true;
            return ringSizeBytes;
        } finally {
            lock.unlock();
        }
    }

    private void enableManualProtect(int flags, long optionBits) {
        long legal =
                (optionBits & MANUAL_ENABLE) != 0 ? MANUAL_ENABLE | INITIALLY_SET : MANUAL_ENABLE;
        if (flags != 0 || (optionBits & ~legal) != 0) {
            throw refused("flags=0x%x optionBits=0x%x".formatted(flags, optionBits));
        }
        manualProtect = (int) optionBits;
    }

    private void enableRing(int capability, int sizeBytes) {
        String what = "capability=%d sizeBytes=0x%x".formatted(capability, sizeBytes);
        if (check(capability) == 0) {
            throw refused(what + ": not offered here");
        }
        if (Integer.bitCount(sizeBytes) != 1) {
            throw refused(what + ": not a power of two");
        }
        if (Integer.compareUnsigned(sizeBytes, reservedEntries() * DirtyRingEntry.SIZE_BYTES) < 0
                || Integer.compareUnsigned(sizeBytes, Page.SIZE) < 0) {
            throw refused(what + ": too small");
        }
        if (Integer.compareUnsigned(sizeBytes, DirtyRing.MAX_SIZE_BYTES) > 0) {
            throw new MdevException(Errno.E2BIG, what);
        }
        lock.lock();
        try {
            if (ringSizeBytes != 0 || vcpuCreated) {
                throw refused(what + ": too late");
            }
            ringSizeBytes = sizeBytes;
        } finally {
            lock.unlock();
        }
    }

    private void enableBitmapBesideRing(int flags) {
        if (check(RING_WITH_BITMAP) == 0 || !usesRing() || flags != 0) {
            throw refused("capability=%d flags=0x%x".formatted(RING_WITH_BITMAP, flags));
        }
        slots.slotsLock().lock();
        try {
            for (int asId = 0; asId < slots.config().addressSpaces(); asId++) {
                if (slots.active(asId).size() != 0) {
                    throw refused("slots exist in asId=%d".formatted(asId));
                }
            }
            bitmapBesideRing = true;
        } finally {
            slots.slotsLock().unlock();
        }
    }

    private static MdevException refused(String what) {
        return new MdevException(Errno.EINVAL, what);
    }
}
