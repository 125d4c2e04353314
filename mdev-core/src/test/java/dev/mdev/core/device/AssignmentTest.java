package dev.mdev.core.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.support.Together;

import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;

@Timeout(value = 180, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class AssignmentTest {
    private final Assignment assignment = new Assignment(new UUID(0, 1));
    private final DeviceHolder vm = DeviceHolder.named("vm");

    private static void assertErrno(Errno errno, ThrowingCallable call) {
        assertThatThrownBy(call)
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(errno));
    }

    @Test
    void whoWaitsForTheReleaseHearsOfItAtOnce() {
        assignment.take(vm);
        AtomicReference<Thread> waiter = new AtomicReference<>();

        // The grace is longer than the race may take.
        Together.run(
                () -> {
                    waiter.set(Thread.currentThread());
                    assertThat(assignment.awaitRelease(Duration.ofHours(1))).isTrue();
                },
                () -> {
                    Together.await(
                            "it waits",
                            () -> {
                                Thread thread = waiter.get();
                                return thread != null
                                        && thread.getState() == Thread.State.TIMED_WAITING;
                            });
                    assertThat(assignment.giveBack()).contains(vm);
                });
    }

    @Test
    void aReleaseThatDoesNotComeIsWaitedForNoLongerThanTheGrace() {
        assertThat(assignment.awaitRelease(Duration.ZERO)).as("nobody has it").isTrue();
        assignment.take(vm);
        assertThat(assignment.awaitRelease(Duration.ofNanos(1))).isFalse();
    }

    @Test
    void workForAHolderIsForThatVeryHolder() {
        assignment.take(vm);
        DeviceHolder namesake = DeviceHolder.named("vm");

        assertErrno(Errno.EBUSY, () -> assignment.beginWorkFor(namesake, "saved"));
        assignment.beginWorkFor(vm, "saved");
        assertErrno(Errno.EBUSY, () -> assignment.beginWorkFor(vm, "restored"));
        assignment.endWork();
        assignment.beginWorkFor(vm, "restored");
        assignment.endWork();

        assignment.beginRemoval();
        assertErrno(Errno.EBUSY, () -> assignment.beginWorkFor(vm, "saved"));
    }

    @Test
    void oneHasTheDeviceAndWorkAndRemovalKeepOthersOut() {
        assignment.take(vm);
        assertErrno(Errno.EBUSY, () -> assignment.take(vm));
        assertErrno(Errno.EBUSY, () -> assignment.beginWork("moved"));
        assertThat(assignment.beginRemoval()).contains(vm);
        assertThat(assignment.giveBack()).contains(vm);
        assertErrno(Errno.ENODEV, () -> assignment.take(vm));
        assertErrno(Errno.ENODEV, () -> assignment.beginWork("moved"));
        assignment.cancelRemoval();

        assignment.beginWork("moved");
        assertErrno(Errno.EBUSY, () -> assignment.take(vm));
        assignment.endWork();
        assignment.take(vm);
    }

    @Test
    void whatIsUncleanGoesToNobodyUntilItIsClean() {
        assignment.markTakenOver();
        assignment.markUnclean("the reset failed");

        assertErrno(Errno.EIO, () -> assignment.take(vm));
        assertErrno(Errno.EIO, assignment::requireClean);
        assertThat(assignment.holder()).isEmpty();
        assignment.beginWork("restored");
        assignment.endWork();

        assignment.markClean();
        assertThat(assignment.mayHoldOthers()).isFalse();
        assignment.take(vm);
    }
}
