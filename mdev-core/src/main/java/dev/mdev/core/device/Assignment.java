package dev.mdev.core.device;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.sync.LongWork;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;

/// The holder of a device: a machine, the host itself while it works on the device, or none; and
/// whether new holders are allowed.
public final class Assignment {
    private final UUID uuid;
    private final ReentrantLock assignment = new ReentrantLock();
    private final Condition released = assignment.newCondition();

    @GuardedBy("assignment")
    private @Nullable DeviceHolder holder;

    /// The host's work on the device, or null.
    @GuardedBy("assignment")
    private @Nullable String work;

    @GuardedBy("assignment")
    private boolean removed;

    /// Why the device may still have content of its last holder, or null.
    @GuardedBy("assignment")
    private @Nullable String unclean;

    /// Whether the device may have content from before it was taken over.
    @GuardedBy("assignment")
    private boolean takenOver;

    Assignment(UUID uuid) {
        this.uuid = uuid;
    }

    public Optional<DeviceHolder> holder() {
        assignment.lock();
        try {
            return Optional.ofNullable(holder);
        } finally {
            assignment.unlock();
        }
    }

    /// @throws MdevException EBUSY if the device has a holder, ENODEV if it is being removed, EIO
    ///   if its last reset failed
    void take(DeviceHolder who) {
        assignment.lock();
        try {
            requireFreeLocked();
            requireCleanLocked();
            holder = who;
        } finally {
            assignment.unlock();
        }
    }

    /// @throws MdevException EIO if the device's last reset failed
    void requireClean() {
        assignment.lock();
        try {
            requireCleanLocked();
        } finally {
            assignment.unlock();
        }
    }

    @GuardedBy("assignment")
    private void requireCleanLocked() {
        if (unclean != null) {
            throw new MdevException(
                    Errno.EIO,
                    "mdev=%s was not reset after its last holder, reset it first: %s"
                            .formatted(uuid, unclean));
        }
    }

    /// Records that the device may have content from before it was taken over.
    void markTakenOver() {
        assignment.lock();
        try {
            takenOver = true;
        } finally {
            assignment.unlock();
        }
    }

    /// Whether that is still so.
    boolean mayHoldOthers() {
        assignment.lock();
        try {
            return takenOver;
        } finally {
            assignment.unlock();
        }
    }

    /// Blocks assignments until the device is reset.
    ///
    /// @param why the driver's error
    void markUnclean(String why) {
        assignment.lock();
        try {
            unclean = why;
        } finally {
            assignment.unlock();
        }
    }

    /// The device was reset, or its whole content was replaced.
    public void markClean() {
        assignment.lock();
        try {
            unclean = null;
            takenOver = false;
        } finally {
            assignment.unlock();
        }
    }

    /// @return the former holder
    Optional<DeviceHolder> giveBack() {
        assignment.lock();
        try {
            Optional<DeviceHolder> had = Optional.ofNullable(holder);
            holder = null;
            released.signalAll();
            return had;
        } finally {
            assignment.unlock();
        }
    }

    @GuardedBy("assignment")
    private void requireFreeLocked() {
        if (removed) {
            throw new MdevException(Errno.ENODEV, "mdev=%s is being removed".formatted(uuid));
        }
        if (holder != null) {
            throw new MdevException(
                    Errno.EBUSY, "mdev=%s is assigned to %s".formatted(uuid, holder.name()));
        }
        if (work != null) {
            throw new MdevException(Errno.EBUSY, "mdev=%s is being %s".formatted(uuid, work));
        }
    }

    /// Blocks other holders while the host works on the device.
    ///
    /// @param what for messages: "is being ..."
    /// @throws MdevException EBUSY if the device has a holder, ENODEV if it is being removed
    public void beginWork(String what) {
        assignment.lock();
        try {
            requireFreeLocked();
            work = what;
        } finally {
            assignment.unlock();
        }
    }

    /// The same if `who` is the holder: the same object, not an equal one.
    @SuppressWarnings("ReferenceEquality")
    public void beginWorkFor(DeviceHolder who, String what) {
        assignment.lock();
        try {
            if (holder != who || removed || work != null) {
                throw new MdevException(Errno.EBUSY, "mdev=%s has a new holder".formatted(uuid));
            }
            work = what;
        } finally {
            assignment.unlock();
        }
    }

    public void endWork() {
        assignment.lock();
        try {
            work = null;
        } finally {
            assignment.unlock();
        }
    }

    /// Blocks assignments permanently.
    ///
    /// @return its current holder
    public Optional<DeviceHolder> beginRemoval() {
        assignment.lock();
        try {
            removed = true;
            return Optional.ofNullable(holder);
        } finally {
            assignment.unlock();
        }
    }

    /// After [#beginRemoval]: the device stays, and can be assigned again.
    public void cancelRemoval() {
        assignment.lock();
        try {
            removed = false;
        } finally {
            assignment.unlock();
        }
    }

    /// Waits until the device is idle.
    ///
    /// @return whether it is idle; false after `grace`
    /// @throws MdevException EINTR if the thread is interrupted, ECANCELED if its [LongWork] is to
    ///   end
    public boolean awaitRelease(Duration grace) {
        assignment.lock();
        try {
            long nanos = grace.toNanos();
            while (holder != null) {
                if (nanos <= 0) {
                    return false;
                }
                nanos = LongWork.awaitNanos(released, nanos);
            }
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(
                    Errno.EINTR, "interrupted while waiting for mdev=%s".formatted(uuid), e);
        } finally {
            assignment.unlock();
        }
    }
}
