package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.KernelNode;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.sync.LongWork;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.locks.LockSupport;

/// The programs outside this host that use devices in the kernel.
final class OutsideUsers {
    /// The kernel tells nobody that a program closed a device.
    private static final Duration POLL = Duration.ofMillis(100);

    private final BusContext bus;

    OutsideUsers(BusContext bus) {
        this.bus = bus;
    }

    /// The processes that use a device.
    ///
    /// @throws MdevException its driver's error
    static Optional<String> of(Mdev mdev) {
        return Optional.ofNullable(mdev.parent().nodes().get(mdev.uuid()))
                .flatMap(KernelNode::user);
    }

    /// Waits until no program uses a device in the kernel. With force, the removal begins after the
    /// grace time in any case: the kernel then asks the program to release the device.
    ///
    /// @throws MdevException EBUSY with the program if it does not let go, without force
    DeviceRemover.TakenBack takeBack(Mdev mdev, Removal how) {
        try {
            Optional<String> user = of(mdev);
            long deadline = System.nanoTime() + how.grace().toNanos();
            LongWork work = LongWork.current();
            user.ifPresent(who -> work.doing("waits for " + who));
            while (user.isPresent() && System.nanoTime() - deadline < 0) {
                LockSupport.parkNanos(this, POLL.toNanos());
                work.requireGoingOn();
                if (Thread.currentThread().isInterrupted()) {
                    throw new MdevException(
                            Errno.EINTR, "interrupted while waiting for mdev=" + mdev.uuid());
                }
                user = of(mdev);
            }
            if (user.isPresent() && !how.force()) {
                throw new MdevException(
                        Errno.EBUSY, "mdev=%s is in use by %s".formatted(mdev.uuid(), user.get()));
            }
            user.ifPresent(who ->
                    bus.observer()
                            .event(new MdevEvent.ReleaseRequested(mdev.uuid(), who, how.grace())));
            return new DeviceRemover.TakenBack(user, false);
        } catch (RuntimeException | Error e) {
            mdev.assignment().cancelRemoval();
            throw e;
        }
    }

    /// What a removal of a device waits for, if that is a program.
    static Optional<String> awaitedBy(Mdev mdev) {
        try {
            return of(mdev).map(who -> "the kernel ends it as soon as it is closed by " + who);
        } catch (MdevException e) {
            // Then it is not known, and the device counts as lost.
            return Optional.empty();
        }
    }
}
