package dev.mdev.core.device;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.Refusal;

import org.jspecify.annotations.Nullable;

import java.util.Optional;

/// Gives a device to its holders and takes it back, with a reset in between.
final class Handover {
    private final Mdev mdev;
    private final DriverObject driver;
    private final Assignment assignment;
    private final UnmappedCalls unmapped;
    private final MdevListener listener;

    /// The device's holder, while it is assigned.
    private volatile @Nullable MdevAssignment current;

    Handover(Mdev mdev, Assignment assignment, UnmappedCalls unmapped, MdevListener listener) {
        this.mdev = mdev;
        this.driver = mdev.driver();
        this.assignment = assignment;
        this.unmapped = unmapped;
        this.listener = listener;
    }

    @Nullable MdevAssignment current() {
        return current;
    }

    /// See [Mdev#assign(DeviceHolder)].
    MdevAssignment assign(DeviceHolder who) {
        assignment.take(who);
        try {
            requireParent();
            if (assignment.mayHoldOthers()) {
                resetForFirstHolder();
            }
            driver.orThrow(driver.runStill("assigned", made -> made.assigned(true)));
            MdevAssignment assigned = new MdevAssignment(mdev);
            current = assigned;
            listener.assigned(mdev, who.name());
            return assigned;
        } catch (RuntimeException | Error e) {
            var _ = assignment.giveBack();
            throw e;
        }
    }

    /// Either a leaving parent sees the assignment, or the assignment sees that the parent is
    /// leaving.
    private void requireParent() {
        if (mdev.parent().presence() == Parent.Presence.LEAVING) {
            throw ParentException.notPresent(mdev.parent().name(), "leaving");
        }
    }

    /// The content of a device that was taken over is unknown: its first assignment resets it, and
    /// nothing does so earlier, so that it can be saved until then.
    private void resetForFirstHolder() {
        resetBetweenHolders();
        driver.requireAlive();
        assignment.requireClean();
    }

    /// Takes the device back, after it was cut off from its guest.
    void takeBack() {
        current = null;
        try {
            unmapped.clear();
            if (!driver.hasEnded()) {
                // The reset follows in any case.
                driver.runStill("assigned", made -> made.assigned(false))
                        .ifPresent(failure -> driver.tell(failure.reason()));
                resetBetweenHolders();
            }
        } catch (RuntimeException | Error e) {
            assignment.markUnclean("it was not reset: " + e);
            throw e;
        } finally {
            assignment.giveBack().ifPresent(who -> listener.unassigned(mdev, who.name()));
        }
    }

    /// Resets the device, or blocks its assignment, of which the operator is told.
    private void resetBetweenHolders() {
        // For every end of the call, including a rethrown error.
        assignment.markUnclean("its reset did not end");
        // In the device's turn: it cannot be used between its reset and the record of it.
        unmapped.reset(() -> {}, assignment::markClean)
                .ifPresent(refusal -> {
                    assignment.markUnclean(refusal.reason());
                    driver.tell(refusal.reason());
                });
    }

    /// See [Mdev#reset(MdevAssignment)].
    Optional<Refusal> reset(@Nullable MdevAssignment holder) {
        return unmapped.reset(() -> requireHolder(holder), assignment::markClean);
    }

    /// @throws MdevException ENODEV unless `holder` has the device
    @SuppressWarnings("ReferenceEquality") // an assignment is one, whatever it says
    void requireHolder(@Nullable MdevAssignment holder) {
        if (current != holder) {
            throw new MdevException(Errno.ENODEV, "mdev=%s changed hands".formatted(mdev.uuid()));
        }
    }
}
