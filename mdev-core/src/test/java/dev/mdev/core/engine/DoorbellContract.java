package dev.mdev.core.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.DoorbellInfo;
import dev.mdev.core.engine.GuestAccess.Span;
import dev.mdev.core.vm.AttachedDevice;
import dev.mdev.core.vm.GuestProgram;
import dev.mdev.core.vm.GuestProgram.Step;
import dev.mdev.core.vm.ProgramResult;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;

/// A guest's store to a doorbell calls the driver later and elsewhere, whatever engine runs the
/// guest.
@Timeout(value = 600, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public abstract class DoorbellContract extends EngineMachine {
    private static final int PLACE = 0x40;
    private static final int WIDTH = 4;
    private static final long WORK_GPA = 0x1000;
    private static final int RINGS = Integer.getInteger("mdev.rings", 300);

    private @Nullable AttachedDevice device;
    private long doorbell;

    /// Whether the engine catches the store without an exit of the processor; asked after a ring.
    protected void assertCaught(int doorbells) {}

    private ScriptedDriver.Device attachWithDoorbell() {
        driver.doorbells = List.of(new DoorbellInfo(ScriptedDriver.TRAPPED_BAR, PLACE, WIDTH));
        AttachedDevice attached = attach();
        device = attached;
        doorbell = bar(attached, ScriptedDriver.TRAPPED_BAR) + PLACE;
        return driverDevice(0);
    }

    private AttachedDevice device() {
        return Objects.requireNonNull(device);
    }

    private static Step store(long gpa, int width, long value) {
        return new Step.Write(new Span(gpa, width, 1, 0), value, 0);
    }

    private void ring() {
        assertCompleted(run(store(doorbell, WIDTH, 1)));
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void awaitRings(ScriptedDriver.Device made, int atLeast) {
        while (made.rings.get() < atLeast) {
            Thread.onSpinWait();
        }
    }

    @Test
    void aStoreDoesNotWaitForTheDriverAndIsNotLost() {
        ScriptedDriver.Device made = attachWithDoorbell();
        CountDownLatch goOn = new CountDownLatch(1);
        driver.onRing =
                _ -> {
                    await(goOn);
                    return DoorbellInfo.Answer.DONE;
                };

        ring();
        awaitRings(made, 1);
        ring();
        ring();
        assertThat(made.rings).as("calls while the first one runs").hasValue(1);
        goOn.countDown();

        awaitRings(made, 2);
        assertThat(made.registerAccesses).isEmpty();
        assertCaught(1);
    }

    /// Two processors store a number and ring, again and again: after the last ring there is a call
    /// that sees the last number of each.
    @Test
    void aStormCoalescesAndTheLastRingIsAnswered() throws Exception {
        ScriptedDriver.Device made = attachWithDoorbell();
        AtomicLong first = new AtomicLong();
        AtomicLong second = new AtomicLong();
        driver.onRing =
                d -> {
                    first.set(d.context.guestMemory().load(WORK_GPA, 8));
                    second.set(d.context.guestMemory().load(WORK_GPA + 8, 8));
                    return DoorbellInfo.Answer.DONE;
                };

        List<CompletableFuture<ProgramResult>> guests =
                List.of(
                        vm.vcpu(1).execute(storm(WORK_GPA), DEADLINE),
                        vm.vcpu(2).execute(storm(WORK_GPA + 8), DEADLINE));
        guests.forEach(guest -> assertCompleted(guest.join()));

        while (first.get() < RINGS || second.get() < RINGS) {
            Thread.onSpinWait();
        }
        assertThat(made.rings.get()).isBetween(1, 2 * RINGS);
    }

    private GuestProgram storm(long gpa) {
        List<Step> steps = new ArrayList<>();
        for (int i = 1; i <= RINGS; i++) {
            steps.add(store(gpa, 8, i));
            steps.add(store(doorbell, WIDTH, i));
        }
        return new GuestProgram(steps, false);
    }

    @Test
    void otherWidthsAndLoadsAreRegisterAccesses() {
        ScriptedDriver.Device made = attachWithDoorbell();

        assertCompleted(run(store(doorbell, 8, 5)));
        List<Long> loaded = read(new Span(doorbell, 4, 1, 0));

        assertThat(loaded).containsExactly(5L);
        assertThat(made.registerAccesses).containsExactly("w2+64/8=5", "r2+64/4");
        assertThat(made.rings).hasValue(0);
    }

    @Test
    void aDoorbellMovesWithItsBar() {
        ScriptedDriver.Device made = attachWithDoorbell();
        ring();
        awaitRings(made, 1);
        long old = doorbell;
        int register = 0x10 + 4 * ScriptedDriver.TRAPPED_BAR;
        long moved = (bar(device(), ScriptedDriver.TRAPPED_BAR) & 0xffff_f000L) + 0x10_0000;

        device().config().write(register, 4, moved);
        doorbell = bar(device(), ScriptedDriver.TRAPPED_BAR) + PLACE;
        assertThat(doorbell).isNotEqualTo(old);
        ring();
        awaitRings(made, 2);
        var _ = run(store(old, WIDTH, 1));
        ring();
        awaitRings(made, 3);

        assertThat(made.rings).as("none from the old place").hasValue(3);
        assertCaught(1);
    }

    @Test
    void withoutMemoryDecodingNothingRings() {
        ScriptedDriver.Device made = attachWithDoorbell();
        int command = (int) device().config().read(4, 2);
        device().config().write(4, 2, command & ~2);
        var _ = run(store(doorbell, WIDTH, 1));
        assertCaught(0);

        device().config().write(4, 2, command);
        ring();

        awaitRings(made, 1);
        assertThat(made.rings).hasValue(1);
    }

    /// The driver always has more work, and a reset comes in between; what has rung before it is
    /// dropped.
    @Test
    void aDriverThatAsksForAnotherCallGivesWayToAReset() {
        ScriptedDriver.Device made = attachWithDoorbell();
        driver.onRing = _ -> DoorbellInfo.Answer.AGAIN;
        ring();
        awaitRings(made, 3);
        int before = made.resets.get();

        device().mdev().resetDriver();

        assertThat(made.resets).hasValue(before + 1);
        driver.onRing = _ -> DoorbellInfo.Answer.DONE;
        int calls = made.rings.get();
        ring();
        awaitRings(made, calls + 1);
        assertThat(made.rings).as("the reset dropped the call before it").hasValue(calls + 1);
    }

    /// The next holder gets no ring of the last one, and the doorbell of a detached device is gone.
    @Test
    void aRingEndsWithItsHolder() {
        ScriptedDriver.Device made = attachWithDoorbell();
        CountDownLatch inside = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        driver.onRing =
                _ -> {
                    inside.countDown();
                    await(goOn);
                    return DoorbellInfo.Answer.DONE;
                };
        ring();
        await(inside);
        ring();
        CompletableFuture<Void> detached =
                CompletableFuture.runAsync(() -> vm.detach(device().mdev().uuid()));
        goOn.countDown();
        detached.join();
        assertCaught(0);
        int calls = made.rings.get();

        vm.attach(device().mdev());
        ring();

        awaitRings(made, calls + 1);
        assertThat(made.rings).hasValue(calls + 1);
    }
}
