package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.support.Seeded;
import dev.mdev.core.support.Together;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class VerbLocksTest {
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final UUID MDEV = new UUID(0, 1);

    private final Registry registry = new Registry();
    private final VerbLocks locks = new VerbLocks(registry);

    private static void assertErrno(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    private VerbLocks.Claim yielding() {
        return locks.claimYielding(MDEV, "moved", Errno.EAGAIN);
    }

    private VerbLocks.Claim takeOver() {
        return locks.claimToEnd(MDEV, Duration.ZERO, true);
    }

    private void requireFree() {
        locks.claim(MDEV, "tried", Errno.EEXIST).close();
    }

    @Test
    void oneVerbAtATimeWorksOnADeviceAndTheOtherIsToldWhich() {
        VerbLocks.Claim first = locks.claim(MDEV, "created", Errno.EEXIST);

        assertThatThrownBy(() -> locks.claim(MDEV, "started", Errno.EEXIST))
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.EEXIST))
                .hasMessageContaining("being created");
        assertErrno(Errno.EBUSY, () -> locks.claimYielding(MDEV, "moved", Errno.EBUSY));
        assertThat(locks.tryClaim(MDEV, "tried")).isEmpty();
        locks.claim(new UUID(0, 2), "created", Errno.EEXIST).close();

        first.close();
        requireFree();
    }

    @Test
    void aVerbThatDoesNotYieldIsNotTakenOver() {
        VerbLocks.Claim first = locks.claim(MDEV, "created", Errno.EEXIST);

        assertErrno(Errno.EAGAIN, this::takeOver);

        first.requireNotLost();
        first.close();
        requireFree();
    }

    @Test
    void aRemovalWithoutForceTakesNothingOver() {
        try (VerbLocks.Claim moved = yielding()) {
            assertErrno(Errno.EAGAIN, () -> locks.claimToEnd(MDEV, Duration.ZERO, false));
            moved.requireNotLost();
        }
    }

    @Test
    void aVerbIsLostFromTheMomentTheRemovalBeginsAndNotBefore() {
        VerbLocks.Claim moved = yielding();
        VerbLocks.Claim removal = takeOver();
        assertThat(removal.former()).containsSame(moved);

        moved.requireNotLost();
        removal.begin();

        assertErrno(Errno.ENODEV, moved::requireNotLost);
        assertErrno(Errno.ENODEV, moved::keep);
        moved.close();
        assertErrno(Errno.EEXIST, this::requireFree);
        removal.close();
        requireFree();
    }

    @Test
    void aVerbIsWhatItWasIfTheRemovalIsGivenUp() {
        VerbLocks.Claim moved = yielding();
        takeOver().close();

        moved.keep();

        assertErrno(Errno.EEXIST, this::requireFree);
        moved.close();
        requireFree();
    }

    @Test
    void aVerbThatEndedMeanwhileDoesNotComeBackWhenTheRemovalIsGivenUp() {
        VerbLocks.Claim moved = yielding();
        VerbLocks.Claim removal = takeOver();
        moved.close();
        removal.close();

        requireFree();
    }

    @Test
    void theFormerVerbDoesNotComeBackAfterARemovalThatBegan() {
        VerbLocks.Claim moved = yielding();
        VerbLocks.Claim removal = takeOver();
        removal.begin();
        removal.close();

        requireFree();
        assertErrno(Errno.ENODEV, moved::requireNotLost);
        moved.close();
        requireFree();
    }

    @Test
    void whatIsKeptIsNotTakenOver() {
        VerbLocks.Claim moved = yielding();
        moved.keep();

        assertErrno(Errno.EAGAIN, this::takeOver);

        moved.close();
        requireFree();
    }

    @Test
    void aVerbThatYieldsFromNowOnCanBeTakenOverFromThenOn() {
        VerbLocks.Claim created = locks.claim(MDEV, "created", Errno.EEXIST);
        AtomicInteger undone = new AtomicInteger();
        created.yieldFromNow(undone::incrementAndGet);

        VerbLocks.Claim removal = takeOver();
        removal.begin();
        removal.former().orElseThrow().undo();

        assertThat(undone).hasValue(1);
        created.close();
        removal.close();
    }

    @Test
    void whatIsToBeUndoneIsUndoneAtOnceIfTheVerbWasTakenOverAlready() {
        VerbLocks.Claim moved = yielding();
        AtomicInteger undone = new AtomicInteger();
        moved.whenTaken(undone::incrementAndGet);
        assertThat(undone).as("nobody took it").hasValue(0);
        moved.undo();
        assertThat(undone).hasValue(1);

        moved.whenTaken(() -> undone.addAndGet(10));

        assertThat(undone).as("too late to wait for it").hasValue(11);
        moved.close();
    }

    /// Between a take-over and the decision of the removal nobody knows whose the device is.
    @Test
    void keepWaitsUntilTheRemovalBeginsOrGivesUp() throws Exception {
        for (boolean begins : new boolean[] {true, false}) {
            VerbLocks.Claim moved = yielding();
            VerbLocks.Claim removal = takeOver();
            List<Errno> lost = new ArrayList<>();
            AtomicInteger kept = new AtomicInteger();
            Thread keeper =
                    Thread.ofPlatform()
                            .daemon()
                            .start(() -> {
                                try {
                                    moved.keep();
                                    kept.incrementAndGet();
                                } catch (MdevException e) {
                                    lost.add(e.errno());
                                }
                            });
            Together.await(
                    "the keeper waits or is done",
                    () ->
                            keeper.getState() == Thread.State.WAITING
                                    || keeper.getState() == Thread.State.TERMINATED);
            assertThat(keeper.isAlive()).isTrue();

            if (begins) {
                removal.begin();
                keeper.join(PATIENCE.toMillis());
                assertThat(lost).containsExactly(Errno.ENODEV);
                moved.close();
                removal.close();
            } else {
                removal.close();
                keeper.join(PATIENCE.toMillis());
                assertThat(kept).hasValue(1);
                assertErrno(Errno.EAGAIN, this::takeOver);
                moved.close();
            }
            requireFree();
        }
    }

    @Test
    void whoWaitsForADeviceGetsItWhenItIsFreeAndKnowsHowLongItTook() throws Exception {
        VerbLocks.Claim first = locks.claim(MDEV, "created", Errno.EEXIST);
        CountDownLatch got = new CountDownLatch(1);
        List<VerbLocks.Claim> waiter = new ArrayList<>();
        Thread waits =
                Thread.ofPlatform()
                        .daemon()
                        .start(() -> {
                            waiter.add(locks.claimInTime(MDEV, "adopted", PATIENCE));
                            got.countDown();
                        });
        Together.await("it waits", () -> waits.getState() == Thread.State.TIMED_WAITING);

        first.close();

        assertThat(got.await(PATIENCE.toSeconds(), TimeUnit.SECONDS)).isTrue();
        assertThat(waiter.getFirst().waited()).isPositive();
        assertThat(waiter.getFirst().former()).isEmpty();
        waiter.getFirst().close();
        VerbLocks.Claim free = locks.claimInTime(MDEV, "adopted", PATIENCE);
        assertThat(free.waited()).isZero();
        free.close();
    }

    @Test
    void anInterruptEndsTheWaitAndTheFlagStays() {
        try (VerbLocks.Claim first = locks.claim(MDEV, "created", Errno.EEXIST)) {
            Thread.currentThread().interrupt();
            assertErrno(Errno.EINTR, () -> locks.claimToEnd(MDEV, PATIENCE, true));
            assertThat(Thread.interrupted()).isTrue();
            first.requireNotLost();
        }
    }

    @Test
    void aClosedBusBeginsNothingNewButEndsDevices() {
        registry.beginClosing();

        assertErrno(Errno.ESHUTDOWN, this::requireFree);
        assertErrno(Errno.ESHUTDOWN, this::yielding);
        assertErrno(Errno.ESHUTDOWN, () -> locks.tryClaim(MDEV, "tried"));
        takeOver().close();
        locks.claimInTime(MDEV, "adopted", Duration.ZERO).close();
    }

    /// Verbs and removals of a few devices at the same time. Whoever is sure to have a device has
    /// it alone: a verb after [VerbLocks.Claim#keep], a removal after it began and the former verb
    /// is closed.
    @Test
    void whoeverHasADeviceHasItAlone() {
        Seeded.run(
                10,
                random -> {
                    Race race = new Race();
                    Together.Part[] parts = new Together.Part[5];
                    for (int i = 0; i < parts.length; i++) {
                        SplittableRandom mine = random.split();
                        boolean removes = i % 2 == 0;
                        parts[i] =
                                () -> {
                                    for (int step = 0; step < 200; step++) {
                                        if (removes) {
                                            race.remove(mine);
                                        } else {
                                            race.work(mine);
                                        }
                                    }
                                };
                    }

                    Together.run(parts);

                    for (UUID uuid : race.uuids) {
                        locks.claim(uuid, "tried", Errno.EEXIST).close();
                    }
                });
    }

    private final class Race {
        final List<UUID> uuids = List.of(new UUID(1, 1), new UUID(1, 2));
        private final List<AtomicInteger> owners =
                List.of(new AtomicInteger(), new AtomicInteger());

        void work(SplittableRandom random) {
            int which = random.nextInt(uuids.size());
            VerbLocks.Claim claim;
            try {
                claim = locks.claimYielding(uuids.get(which), "moved", Errno.EAGAIN);
            } catch (MdevException busy) {
                return;
            }
            try (claim) {
                Together.pause(random);
                claim.keep();
                own(which, random);
                claim.requireNotLost();
            } catch (MdevException lost) {
                assertThat(lost.errno()).isEqualTo(Errno.ENODEV);
            }
        }

        void remove(SplittableRandom random) {
            int which = random.nextInt(uuids.size());
            VerbLocks.Claim claim;
            try {
                Duration patience = Duration.ofNanos(random.nextInt(2) * 50_000L);
                claim = locks.claimToEnd(uuids.get(which), patience, true);
            } catch (MdevException busy) {
                assertThat(busy.errno()).isEqualTo(Errno.EAGAIN);
                return;
            }
            try (claim) {
                Together.pause(random);
                if (random.nextInt(3) == 0) {
                    return;
                }
                claim.begin();
                claim.former().ifPresent(VerbLocks.Claim::awaitClosed);
                own(which, random);
            }
        }

        private void own(int which, SplittableRandom random) {
            assertThat(owners.get(which).incrementAndGet()).as("alone").isOne();
            Together.pause(random);
            assertThat(owners.get(which).decrementAndGet()).as("still alone").isZero();
        }
    }
}
