package dev.mdev.core.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Parent;
import dev.mdev.core.sync.LongWork;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/// How parents leave the bus: new verbs are blocked, their devices are ended, and each is closed
/// when its last device is gone.
final class ParentRemoval {
    private final BusContext bus;
    private final ParentCloser exits;
    private final DeviceRemover ender;

    ParentRemoval(BusContext bus, ParentCloser exits, DeviceRemover ender) {
        this.bus = bus;
        this.exits = exits;
        this.ender = ender;
    }

    /// Ends the devices of parents, all at once, and closes the parents.
    ///
    /// @throws MdevException ETIMEDOUT if they do not leave: they do with their last devices
    void leave(List<Parent> parents, Removal how) {
        LongWork work = LongWork.current();
        work.doing("its devices are ended");
        work.begin(
                "devices",
                parents.stream().mapToLong(it -> bus.registry().entriesOf(it).size()).sum());
        MdevException trouble =
                new MdevException(Errno.ETIMEDOUT, "does not leave: parents=" + names(parents));
        List<Throwable> failures = new CopyOnWriteArrayList<>();
        List<Thread> enders = begin(parents, how, failures::add);
        for (Thread ender : enders) {
            join(ender);
            work.add(1);
        }
        for (Throwable failure : failures) {
            if (failure instanceof Error error) {
                throw error;
            }
            trouble.addSuppressed(failure);
        }
        awaitGone(parents, trouble);
    }

    /// Closes parents, and ends their devices; but devices in the kernel stay as they are.
    ///
    /// @throws MdevException ETIMEDOUT if they do not leave: they do with their last devices
    void leaveBehind(List<Parent> parents) {
        List<Throwable> failures = new ArrayList<>();
        for (Parent parent : parents) {
            if (parent.isInKernel()) {
                bus.registry().leave(parent);
                bus.registry().entriesOf(parent).forEach(entry -> forget(entry, failures::add));
                exits.closeIfReady(parent);
            }
        }
        leave(
                parents.stream().filter(parent -> !parent.isInKernel()).toList(),
                Removal.forcing(Duration.ZERO));
        MdevException trouble =
                new MdevException(Errno.ETIMEDOUT, "does not leave: parents=" + names(parents));
        failures.forEach(trouble::addSuppressed);
        awaitGone(parents, trouble);
    }

    /// A removal that waits for a program goes on at the next start.
    private void forget(Registry.Entry entry, Consumer<Throwable> failed) {
        try (VerbLocks.Claim _ =
                bus.claims().claimInTime(entry.uuid(), "left", bus.options().callDeadline())) {
            Optional.ofNullable(entry.mdev()).ifPresent(mdev -> bus.watch().remove(mdev.calls()));
            var _ = bus.registry().remove(entry.uuid());
        } catch (MdevException e) {
            failed.accept(e);
        }
    }

    /// @throws MdevException EBUSY with the program if one outside this host uses a device of ours
    void requireUnusedOutside(Parent parent) {
        for (Registry.Entry entry : bus.registry().entriesOf(parent)) {
            Optional<String> user = Optional.ofNullable(entry.mdev()).flatMap(OutsideUsers::of);
            if (user.isPresent()) {
                throw new MdevException(
                        Errno.EBUSY, "mdev=%s is in use by %s".formatted(entry.uuid(), user.get()));
            }
        }
    }

    /// Begins to end the devices of parents. A parent is closed when its last device is gone.
    ///
    /// @param failed receives each failure to end a device, from several threads
    /// @return the threads that end devices
    List<Thread> begin(Collection<Parent> parents, Removal how, Consumer<Throwable> failed) {
        parents.forEach(bus.registry()::leave);
        List<Thread> enders = new ArrayList<>();
        for (Parent parent : parents) {
            for (Registry.Entry entry : bus.registry().entriesOf(parent)) {
                if (entry.mdev() != null) {
                    enders.add(
                            Thread.ofVirtual()
                                    .name("mdev-end-" + entry.uuid())
                                    .start(() -> stop(entry, how, failed)));
                }
            }
            exits.closeIfReady(parent);
        }
        return enders;
    }

    private void stop(Registry.Entry entry, Removal how, Consumer<Throwable> failed) {
        try {
            var _ = ender.stop(entry.uuid(), how);
        } catch (RuntimeException | Error e) {
            failed.accept(e);
        }
    }

    private void awaitGone(List<Parent> parents, MdevException trouble) {
        try {
            for (Parent parent : parents) {
                if (!parent.exit().await(bus.options().callDeadline())) {
                    throw trouble;
                }
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted while parents leave", e);
        }
    }

    private static void join(Thread thread) {
        boolean interrupted = false;
        while (true) {
            try {
                thread.join();
                break;
            } catch (InterruptedException e) {
                // This wait is bounded; the interrupt is for the caller's next step.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private static String names(List<Parent> parents) {
        return parents.stream().map(Parent::name).collect(Collectors.joining(","));
    }
}
