package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.ledger.PoolRuns;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/// Devices that outlive the process: ours, adopted ones, and those of others.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class ForeignTest {
    private static final UUID OURS = new UUID(7, 1);
    private static final UUID ALIEN = new UUID(7, 2);
    private static final String TYPE = "t4";

    private final Card card = new Card("gpu0", 16, true).with(TYPE, 4, 1, true);

    @Test
    void aForeignDeviceIsShownItsPagesAndUuidAreTakenAndNothingTouchesIt() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();

        MdevStatus status = world.bus.status(ALIEN).orElseThrow();
        assertThat(status.owner()).isEqualTo(Owner.FOREIGN);
        assertThat(status.activity()).isEqualTo(Activity.ACTIVE);
        assertThat(status.heldPages()).isEqualTo(4);
        assertThat(world.bus.find(ALIEN)).isEmpty();
        assertThat(world.bus.mdevs()).isEmpty();
        assertThat(world.facts(MdevEvent.ForeignFound.class)).hasSize(1);
        assertFails(() -> world.bus.create(ALIEN, "gpu0", TYPE), Errno.EEXIST);
        assertFails(() -> world.bus.remove(ALIEN), Errno.EPERM);
        assertFails(() -> world.bus.stop(ALIEN, Removal.forcing(Duration.ZERO)), Errno.EPERM);
        assertFails(() -> world.bus.promote(ALIEN, true), Errno.EPERM);
        assertFails(
                () -> world.bus.define(new MdevDefinition(ALIEN, "gpu0", TYPE, true)),
                Errno.EEXIST);
        for (int i = 0; i < 3; i++) {
            world.bus.create(new UUID(8, i), "gpu0", TYPE);
        }
        assertFails(() -> world.bus.create(OURS, "gpu0", TYPE), Errno.EUSERS);
        assertThat(card.isUntouched(ALIEN, 4)).isTrue();
        assertThat(world.bus.explain("gpu0", TYPE).text()).contains("0 are free");
        world.check();

        world.bus.close();

        assertThat(card.isUntouched(ALIEN, 4)).as("closing leaves it alone").isTrue();
        assertThat(card.kept).containsOnlyKeys(ALIEN);
    }

    @Test
    void ourDeviceIsOursAfterTheProcessDied() {
        BusWorld world = new BusWorld(card).plug();
        world.bus.create(new MdevDefinition(OURS, "gpu0", TYPE, false));
        assertThat(world.bus.find(OURS)).isPresent();

        world.restart().plug();

        MdevStatus status = world.bus.status(OURS).orElseThrow();
        assertThat(status.owner()).isEqualTo(Owner.OURS);
        assertThat(status.definition()).isPresent();
        assertThat(world.bus.find(OURS)).isPresent();
        assertThat(world.driver.calls).containsExactly("adopt " + OURS);
        assertThat(world.driver.device(OURS).hasItsMarks()).isTrue();
        world.check();
        world.bus.remove(OURS);
        assertThat(card.kept).isEmpty();
        world.check();
        world.close();
    }

    @Test
    void anAdoptedDeviceIsOursToEndAndAdoptedStillAfterARestart() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();

        Mdev mdev = world.bus.adopt(ALIEN);

        assertThat(world.bus.find(ALIEN)).hasValue(mdev);
        assertThat(card.isUntouched(ALIEN, 4)).isTrue();
        assertFails(() -> world.bus.adopt(ALIEN), Errno.EPERM);
        world.restart().plug();
        assertThat(world.bus.status(ALIEN).orElseThrow().owner()).isEqualTo(Owner.ADOPTED);
        assertThat(world.bus.find(ALIEN)).isPresent();
        assertThat(card.isUntouched(ALIEN, 4)).isTrue();
        world.bus.promote(ALIEN, false);
        world.bus.remove(ALIEN);
        assertThat(card.kept).isEmpty();
        world.check();
        world.close();
    }

    /// It can be saved until its assignment; its next holder finds nothing of the last one.
    @Test
    void aDeviceThatWasTakenOverKeepsItsStateUntilItsFirstHolderGetsIt() throws Exception {
        BusWorld world = new BusWorld(card).plug();
        world.bus.create(OURS, "gpu0", TYPE).assign("vm1");
        world.restart().plug();
        CardDriver.Device device = world.driver.device(OURS);
        device.register = 42;
        Mdev mdev = world.bus.find(OURS).orElseThrow();

        assertThat(world.bus.save(OURS, OutputStream.nullOutputStream())).isPositive();
        assertThat(device.register).isEqualTo(42);
        MdevAssignment held = mdev.assign("vm2");

        assertThat(device.register).isZero();
        assertThat(device.resets).hasValue(1);
        device.register = 43;
        assertFails(() -> mdev.assign("vm3"), Errno.EBUSY);
        assertThat(device.register).as("vm2's").isEqualTo(43);
        held.close();
        assertThat(device.resets).hasValue(2);
        MdevAssignment next = mdev.assign("vm3");
        assertThat(device.resets).as("nobody had it since").hasValue(2);
        next.close();
    }

    @Test
    void nobodyGetsADeviceThatWasTakenOverAndCannotBeReset() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();
        Mdev mdev = world.bus.adopt(ALIEN);
        world.driver.onReset =
                _ -> {
                    throw new IllegalStateException("fan broke");
                };

        assertFails(() -> mdev.assign("vm1"), Errno.EIO);
        assertThat(mdev.holder()).isEmpty();
        assertFails(() -> mdev.assign("vm1"), Errno.EIO);

        world.driver.onReset = _ -> {};
        world.bus.reset(ALIEN);
        MdevAssignment held = mdev.assign("vm1");
        held.close();
    }

    @Test
    void aStateThatWasRestoredIntoADeviceThatWasTakenOverIsForItsNextHolder() throws Exception {
        BusWorld world = new BusWorld(card).plug();
        world.bus.create(OURS, "gpu0", TYPE);
        world.driver.device(OURS).register = 41;
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        var _ = world.bus.save(OURS, state);
        world.restart().plug();

        world.bus.restore(OURS, new ByteArrayInputStream(state.toByteArray()));
        Mdev mdev = world.bus.find(OURS).orElseThrow();
        MdevAssignment held = mdev.assign("vm1");

        assertThat(world.driver.device(OURS).register).isEqualTo(41);
        held.close();
    }

    @Test
    void aDriverThatAdoptsNothingLeavesTheDeviceForeign() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();
        world.driver.adopts = false;

        assertFails(() -> world.bus.adopt(ALIEN), Errno.EOPNOTSUPP);
        assertFails(() -> world.bus.adopt(OURS), Errno.ENODEV);

        assertThat(world.bus.status(ALIEN).orElseThrow().owner()).isEqualTo(Owner.FOREIGN);
        assertThat(card.isUntouched(ALIEN, 4)).isTrue();
    }

    @Test
    void ourDeviceThatCannotBeTakenOverIsLostAndKeepsItsPages() {
        BusWorld world = new BusWorld(card).plug();
        world.bus.create(OURS, "gpu0", TYPE);
        world.restart();
        world.driver.adopts = false;

        world.plug();

        MdevStatus status = world.bus.status(OURS).orElseThrow();
        assertThat(status.activity()).isEqualTo(Activity.LOST);
        assertThat(status.owner()).isEqualTo(Owner.OURS);
        assertThat(status.trouble().orElseThrow()).contains("EOPNOTSUPP");
        assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(12);
        assertThat(card.kept).containsKey(OURS);
    }

    @Test
    void pagesOfAForeignDeviceThatWentAreScrubbedAtARescanAndNewOnesAreSeen() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();
        card.kept.remove(ALIEN);
        UUID second = new UUID(7, 3);
        card.makeAlien(second, 12);

        world.bus.rescan("gpu0");

        assertThat(world.bus.status(ALIEN)).isEmpty();
        assertThat(world.bus.status(second).orElseThrow().owner()).isEqualTo(Owner.FOREIGN);
        assertThat(card.vram.isZero(4, 4)).isTrue();
        assertThat(world.facts(MdevEvent.ForeignGone.class)).hasSize(1);
        world.check();
        world.bus.rescan("gpu0");
        assertThat(world.facts(MdevEvent.ForeignGone.class)).hasSize(1);
    }

    @Test
    void pagesOfAForeignDeviceThatWentWhileWeWereDownAreScrubbedToo() {
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card).plug();
        assertThat(world.bus.status(ALIEN)).isPresent();
        world.restart();
        card.kept.remove(ALIEN);

        world.plug();

        assertThat(world.bus.status(ALIEN)).isEmpty();
        world.check();
        assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(16);
    }

    @Test
    void aDriverThatSaysNonsenseOfItsDevicesIsNotPutOnTheBus() {
        BusWorld world = new BusWorld(card);
        card.makeAlien(ALIEN, 4);
        card.makeAlien(OURS, 6);
        assertFails(() -> world.bus.addDriver(world.driver, Map.of()), Errno.EINVAL);
        assertThat(world.bus.parents()).isEmpty();
        assertThat(world.bus.statuses()).isEmpty();
        card.kept.remove(OURS);
        card.kept.put(
                OURS,
                new Card.Kept(
                        TYPE, List.of(new PoolRuns(Card.POOL, List.of(new ApertureRun(14, 4))))));
        assertFails(() -> world.bus.addDriver(world.driver, Map.of()), Errno.EINVAL);
        card.kept.put(OURS, new Card.Kept("none", List.of()));
        assertFails(() -> world.bus.addDriver(world.driver, Map.of()), Errno.ENOENT);
        card.kept.remove(OURS);

        world.plug();

        assertThat(world.bus.parents()).hasSize(1);
    }

    @Test
    void twoParentsDevicesOfOneUuidAreNotMixedUp() {
        Card second = new Card("gpu1", 16, true).with(TYPE, 4, 1, true);
        card.makeAlien(ALIEN, 4);
        second.kept.put(ALIEN, card.kept.get(ALIEN));
        BusWorld world = new BusWorld(card, second).plug();

        assertThat(world.bus.status(ALIEN).orElseThrow().parent()).isEqualTo("gpu0");
        assertThat(world.bus.parent("gpu1").usage().getFirst().freePages()).isEqualTo(12);
        assertThat(world.facts(MdevEvent.StartFailed.class))
                .singleElement()
                .satisfies(fact -> assertThat(fact.parent()).isEqualTo("gpu1"));
    }

    @Test
    void aForeignDeviceOnAnotherParentIsNotTheDefinedOne() {
        Card second = new Card("gpu1", 16, true).with(TYPE, 4, 1, true);
        BusWorld world = new BusWorld(card, second).plug();
        world.bus.define(new MdevDefinition(ALIEN, "gpu0", TYPE, true));
        assertThat(world.bus.status(ALIEN).orElseThrow().definition()).isPresent();
        second.makeAlien(ALIEN, 4);

        world.bus.rescan("gpu1");

        MdevStatus status = world.bus.status(ALIEN).orElseThrow();
        assertThat(status.parent()).isEqualTo("gpu1");
        assertThat(status.owner()).isEqualTo(Owner.FOREIGN);
        assertThat(status.definition()).isEmpty();
        assertThat(world.bus.statuses()).containsExactly(status);
        assertThat(world.bus.definitions()).hasSize(1);
        assertFails(() -> world.bus.start(ALIEN), Errno.EEXIST);
        world.close();
    }

    @Test
    void aRescanSaysOfADeviceWhoseUuidIsTakenOnceOnly() {
        Card second = new Card("gpu1", 16, true).with(TYPE, 4, 1, true);
        card.makeAlien(ALIEN, 4);
        BusWorld world = new BusWorld(card, second).plug();
        second.kept.put(ALIEN, card.kept.get(ALIEN));

        world.bus.rescan("gpu1");
        world.bus.rescan("gpu1");

        assertThat(world.facts(MdevEvent.StartFailed.class)).hasSize(1);
        assertThat(world.bus.parent("gpu1").usage().getFirst().freePages()).isEqualTo(12);
        assertThat(world.bus.status(ALIEN).orElseThrow().parent()).isEqualTo("gpu0");
    }

    @Test
    void aParentWithADeviceThatCouldNotBeTakenOverGoesWithoutIt() {
        BusWorld world = new BusWorld(card).plug();
        world.bus.create(OURS, "gpu0", TYPE);
        world.restart();
        world.driver.adopts = false;
        world.plug();
        assertThat(world.bus.status(OURS).orElseThrow().activity()).isEqualTo(Activity.LOST);

        world.bus.removeParent("gpu0", Duration.ZERO);

        assertThat(world.bus.statuses()).isEmpty();
        world.driver.adopts = true;
        world.plug();
        assertThat(world.bus.find(OURS)).as("it is there again").isPresent();
        world.bus.remove(OURS);
        world.check();
        world.close();
    }

    @Test
    void pagesOfADeviceWhoseUuidWasTakenAreFreeWhenItIsGoneAndItIsSeenWhenTheUuidIsFree() {
        Card second = new Card("gpu1", 16, true).with(TYPE, 4, 1, true);
        card.makeAlien(ALIEN, 4);
        second.kept.put(ALIEN, card.kept.get(ALIEN));
        BusWorld world = new BusWorld(card, second).plug();

        card.kept.remove(ALIEN);
        world.bus.rescan("gpu0");
        world.bus.rescan("gpu1");
        assertThat(world.bus.status(ALIEN).orElseThrow().parent()).isEqualTo("gpu1");

        card.makeAlien(ALIEN, 8);
        world.bus.rescan("gpu0");
        assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(12);
        card.kept.remove(ALIEN);
        world.bus.rescan("gpu0");
        assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(16);
        assertThat(card.vram.isZero(8, 4)).isTrue();
        world.check();
        world.close();
    }
}
