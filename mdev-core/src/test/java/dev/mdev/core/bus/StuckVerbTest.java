package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.DeviceHolder;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;

/// Removals of devices with a verb that is stuck in a driver.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class StuckVerbTest {
    private static final UUID ONE = new UUID(12, 1);
    private static final UUID TWO = new UUID(12, 2);
    private static final String TYPE = "t4";
    private static final Removal BY_FORCE = Removal.forcing(Duration.ZERO);

    private final Card card = new Card("gpu0", 16, false).with(TYPE, 4, 1, true);
    private final BusWorld world =
            new BusWorld(new SplittableRandom(1), Duration.ofSeconds(1), card).plug();
    private final CountDownLatch stuck = new CountDownLatch(1);
    private final CountDownLatch letGo = new CountDownLatch(1);

    private void getStuck() {
        stuck.countDown();
        Deadlines.await(letGo);
    }

    @AfterEach
    void everythingIsWellWhenTheDriverReturns() throws InterruptedException {
        letGo.countDown();
        world.await(() -> world.bus.statuses().isEmpty());
        world.check();
        if (!world.bus.parents().isEmpty()) {
            assertThat(freePages()).isEqualTo(16);
        }
        assertThat(world.bus.unfinished()).isEmpty();
        assertThat(world.driver.devices).isEmpty();
        world.close();
    }

    private long freePages() {
        return world.bus.parent("gpu0").usage().getFirst().freePages();
    }

    private Mdev create(UUID uuid) {
        return world.bus.create(uuid, "gpu0", TYPE);
    }

    /// Begins something that gets stuck.
    private CompletableFuture<Void> begin(Runnable verb) throws InterruptedException {
        CompletableFuture<Void> outcome = CompletableFuture.runAsync(verb);
        stuck.await();
        return outcome;
    }

    private void assertLost(UUID uuid, String why) {
        MdevStatus status = world.bus.status(uuid).orElseThrow();
        assertThat(status.activity()).isEqualTo(Activity.LOST);
        assertThat(status.trouble().orElseThrow()).contains(why);
        assertThat(status.heldPages()).isPositive();
    }

    private void awaitGone(UUID uuid) throws InterruptedException {
        world.await(() -> world.bus.status(uuid).isEmpty());
    }

    private static void assertEndedMeanwhile(CompletableFuture<Void> verb) {
        assertThatThrownBy(verb::join)
                .isInstanceOf(CompletionException.class)
                .rootCause()
                .isInstanceOfSatisfying(
                        MdevException.class, e -> assertThat(e.errno()).isEqualTo(Errno.ENODEV));
    }

    @Test
    void aResetThatDoesNotReturnKeepsNobodyFromRemovingTheDevice() throws Exception {
        Mdev mdev = create(ONE);
        MdevAssignment held = mdev.assign("vm7");
        world.driver.onReset = _ -> getStuck();
        CompletableFuture<Void> reset = begin(() -> world.bus.reset(ONE));

        assertFails(() -> world.bus.remove(ONE), Errno.EAGAIN, "being reset");
        assertFails(
                () -> world.bus.remove(ONE, BY_FORCE),
                Errno.ETIMEDOUT,
                "reset has been running",
                "4 pages are held");

        assertLost(ONE, "reset has been running");
        assertThat(held.read(CardDriver.REGISTERS, 0, 4)).isInstanceOf(RegionAccess.Failed.class);
        assertFails(() -> world.bus.remove(ONE, BY_FORCE), Errno.EBUSY, "lost");
        create(TWO);
        world.removeAtLast(TWO);
        letGo.countDown();
        assertEndedMeanwhile(reset);
        awaitGone(ONE);
        // Its uuid is free before that is told.
        world.await(() ->
                world.facts(MdevEvent.Recovered.class).stream()
                        .anyMatch(fact -> fact.uuid().equals(ONE)));
    }

    @Test
    void aSaveThatDoesNotReturnIsOvertakenAndTheGuestGoesOn() throws Exception {
        Mdev mdev = create(ONE);
        CountDownLatch resumed = new CountDownLatch(1);
        mdev.assign(
                new DeviceHolder() {
                    @Override
                    public String name() {
                        return "vm7";
                    }

                    @Override
                    public Optional<Pause> pause() {
                        return Optional.of(() -> {
                            assertThat(resumed.getCount()).as("resumed once").isOne();
                            resumed.countDown();
                        });
                    }
                });
        world.driver.onSave = this::getStuck;
        CompletableFuture<Void> save = begin(() -> save(ONE));

        assertFails(
                () -> world.bus.remove(ONE, BY_FORCE), Errno.ETIMEDOUT, "save has been running");

        resumed.await();
        assertLost(ONE, "save has been running");
        letGo.countDown();
        assertEndedMeanwhile(save);
    }

    private byte[] save(UUID uuid) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try {
            var _ = world.bus.save(uuid, out);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return out.toByteArray();
    }

    private void restore(UUID uuid, InputStream in) {
        try {
            world.bus.restore(uuid, in);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aRestoreThatDoesNotReturnIsOvertaken() throws Exception {
        create(ONE);
        byte[] state = save(ONE);
        world.driver.onRestore = this::getStuck;
        CompletableFuture<Void> restore =
                begin(() -> restore(ONE, new ByteArrayInputStream(state)));

        assertFails(
                () -> world.bus.stop(ONE, BY_FORCE), Errno.ETIMEDOUT, "restore has been running");

        assertLost(ONE, "restore has been running");
        letGo.countDown();
        assertEndedMeanwhile(restore);
    }

    /// The sender may still write to its pages: no other device gets them before it ends.
    @Test
    void aRestoreWhoseSenderStopsSendingIsOvertaken() throws Exception {
        create(ONE);
        byte[] state = save(ONE);
        InputStream slow =
                new InputStream() {
                    private int sent;

                    @Override
                    public int read(byte[] to, int offset, int length) {
                        int next = read();
                        to[offset] = (byte) next;
                        return next < 0 ? -1 : 1;
                    }

                    @Override
                    public int read() {
                        if (sent == state.length - 40) {
                            getStuck();
                        }
                        return sent == state.length ? -1 : state[sent++] & 0xff;
                    }
                };
        CompletableFuture<Void> restore = begin(() -> restore(ONE, slow));

        assertFails(() -> world.bus.remove(ONE, BY_FORCE), Errno.ETIMEDOUT, "being restored");

        assertLost(ONE, "being restored");
        letGo.countDown();
        assertEndedMeanwhile(restore);
    }

    @Test
    void aMoveThatDoesNotReturnIsOvertakenAndNoPageIsLostOrFreedTwice() throws Exception {
        create(ONE);
        DefragPlan plan = movingAway(ONE);
        world.driver.onMove = _ -> getStuck();
        CompletableFuture<Void> move = begin(() -> world.bus.defragment(plan));

        assertFails(
                () -> world.bus.remove(ONE, BY_FORCE),
                Errno.ETIMEDOUT,
                "shareMoved has been running");

        assertLost(ONE, "shareMoved has been running");
        assertThat(freePages()).as("both places are held").isEqualTo(8);
        letGo.countDown();
        assertEndedMeanwhile(move);
    }

    private DefragPlan movingAway(UUID uuid) {
        var from = world.bus.find(uuid).orElseThrow().share().getFirst().extents();
        var to = List.of(new PfnRange(from.getFirst().firstPfn() + 8, from.getFirst().npages()));
        return new DefragPlan(
                "gpu0", TYPE, List.of(new DefragPlan.Move(uuid, Card.POOL, from, to)));
    }

    @Test
    void aDeviceThatDoesNotGoOnAfterAMoveHasItsNewPages() {
        create(ONE);
        DefragPlan plan = movingAway(ONE);
        world.driver.onResume =
                () -> {
                    throw new InternalError("does not go on");
                };

        assertFails(() -> world.bus.defragment(plan), Errno.EIO, "does not go on");

        assertThat(world.bus.find(ONE).orElseThrow().share().getFirst().extents())
                .isEqualTo(plan.moves().getFirst().to());
        assertThat(freePages()).isEqualTo(12);
        world.removeAtLast(ONE);
    }

    @Test
    void aCreationThatDoesNotReturnIsOvertakenWithItsDefinition() throws Exception {
        MdevDefinition definition = new MdevDefinition(ONE, "gpu0", TYPE, false);
        world.driver.onCreate = _ -> getStuck();
        CompletableFuture<Void> create = begin(() -> world.bus.create(definition));

        assertFails(() -> world.bus.remove(ONE), Errno.EAGAIN, "being created");
        assertFails(
                () -> world.bus.remove(ONE, BY_FORCE), Errno.ETIMEDOUT, "create has been running");

        assertLost(ONE, "create has been running");
        assertThat(world.bus.definitions()).isEmpty();
        world.bus.define(definition);
        letGo.countDown();
        assertEndedMeanwhile(create);
        world.await(() ->
                world.bus.status(ONE).filter(s -> s.activity() == Activity.INACTIVE).isPresent());
        assertThat(world.bus.definitions()).as("the newer one").containsExactly(definition);
        world.bus.undefine(ONE);
    }

    /// The caller was to get both, device and definition, or neither.
    @Test
    void aCreationThatIsStoppedLeavesNeitherDeviceNorDefinitionAlsoAfterARestart()
            throws Exception {
        MdevDefinition definition = new MdevDefinition(ONE, "gpu0", TYPE, true);
        world.driver.onCreate = _ -> getStuck();
        CompletableFuture<Void> create = begin(() -> world.bus.create(definition));

        assertFails(
                () -> world.bus.stop(ONE, BY_FORCE), Errno.ETIMEDOUT, "create has been running");

        assertThat(world.bus.definitions()).isEmpty();
        letGo.countDown();
        assertEndedMeanwhile(create);
        awaitGone(ONE);
        world.restart().plug();
        assertThat(world.bus.statuses()).isEmpty();
    }

    @Test
    void aStartThatIsStoppedLeavesTheDefinition() throws Exception {
        MdevDefinition definition = new MdevDefinition(ONE, "gpu0", TYPE, false);
        world.bus.define(definition);
        world.driver.onCreate = _ -> getStuck();
        CompletableFuture<Void> start = begin(() -> world.bus.start(ONE));

        assertFails(
                () -> world.bus.stop(ONE, BY_FORCE), Errno.ETIMEDOUT, "create has been running");

        letGo.countDown();
        assertEndedMeanwhile(start);
        world.await(() ->
                world.bus.status(ONE).filter(s -> s.activity() == Activity.INACTIVE).isPresent());
        world.restart().plug();
        assertThat(world.bus.definitions()).containsExactly(definition);
        world.bus.undefine(ONE);
    }

    @Test
    void workThatARemovalCouldNotTakeOverAfterAllGoesOnAndKeepsTheDevice() throws Exception {
        create(ONE);
        world.driver.onReset = _ -> getStuck();
        CompletableFuture<Void> reset = begin(() -> world.bus.reset(ONE));
        world.disk.failWith(Errno.ENOSPC);

        assertFails(() -> world.bus.remove(ONE, BY_FORCE), Errno.ENOSPC);

        world.disk.failWith(null);
        assertFails(() -> world.bus.reset(ONE), Errno.EAGAIN, "being reset");
        letGo.countDown();
        reset.join();
        assertThat(world.bus.find(ONE)).isPresent();
        world.driver.onReset = _ -> {};
        world.bus.reset(ONE);
        world.removeAtLast(ONE);
    }

    @Test
    void aCreationThatARemovalCouldNotTakeOverAfterAllEndsWithADevice() throws Exception {
        world.driver.onCreate = _ -> getStuck();
        CompletableFuture<Void> create = begin(() -> create(ONE));
        world.disk.failWith(Errno.ENOSPC);

        assertFails(() -> world.bus.remove(ONE, BY_FORCE), Errno.ENOSPC);

        world.disk.failWith(null);
        letGo.countDown();
        create.join();
        assertThat(world.bus.find(ONE)).isPresent();
        world.removeAtLast(ONE);
    }

    @Test
    void aParentLeavesThoughADeviceOfItIsStuckInAVerb() throws Exception {
        create(ONE).assign("vm7");
        world.driver.onReset = _ -> getStuck();
        CompletableFuture<Void> reset = begin(() -> world.bus.reset(ONE));

        assertFails(() -> world.bus.removeParent("gpu0", Duration.ZERO), Errno.ETIMEDOUT, "gpu0");

        assertLost(ONE, "reset has been running");
        assertThat(world.bus.parent("gpu0").presence()).isEqualTo(Parent.Presence.LEAVING);
        letGo.countDown();
        assertEndedMeanwhile(reset);
        world.await(() -> world.bus.parents().isEmpty());
    }

    @Test
    void closingTheBusTakesADeviceThatIsStuckInAVerb() throws Exception {
        create(ONE);
        world.driver.onReset = _ -> getStuck();
        CompletableFuture<Void> reset = begin(() -> world.bus.reset(ONE));

        assertFails(() -> world.bus.close(), Errno.ETIMEDOUT, "gpu0");

        assertLost(ONE, "reset has been running");
        letGo.countDown();
        assertEndedMeanwhile(reset);
        world.await(() -> world.bus.parents().isEmpty());
    }
}
