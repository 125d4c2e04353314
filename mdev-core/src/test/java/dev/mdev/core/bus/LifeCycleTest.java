package dev.mdev.core.bus;

import static dev.mdev.core.bus.BusWorld.assertFails;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;

@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
public class LifeCycleTest {
    private static final UUID ONE = new UUID(1, 1);
    private static final UUID TWO = new UUID(1, 2);
    private static final UUID THREE = new UUID(1, 3);
    private static final String TYPE = "t4";

    private final Card card = card("gpu0");
    private final Card other = card("gpu1");
    private final BusWorld world = new BusWorld(card, other).plug();

    private static Card card(String name) {
        return new Card(name, 16, false).with(TYPE, 4, 1, true).with("t16", 16, 1, true);
    }

    @AfterEach
    void end() {
        world.check();
        world.close();
    }

    private static MdevDefinition definition(UUID uuid) {
        return new MdevDefinition(uuid, "gpu0", TYPE, false);
    }

    private MdevStatus status(UUID uuid) {
        return world.bus.status(uuid).orElseThrow();
    }

    private void assertFacts(UUID uuid, boolean defined, boolean active) {
        Optional<MdevStatus> status = world.bus.status(uuid);
        assertThat(status.isPresent()).isEqualTo(defined || active);
        status.ifPresent(facts -> {
            assertThat(facts.definition().isPresent()).isEqualTo(defined);
            assertThat(facts.activity()).isEqualTo(active ? Activity.ACTIVE : Activity.INACTIVE);
        });
        assertThat(world.bus.find(uuid).isPresent()).isEqualTo(active);
        assertThat(world.driver.devices.containsKey(uuid)).isEqualTo(active);
    }

    @Test
    void aTransientDeviceIsActiveAndNotDefinedAndGoneAfterARestart() {
        world.bus.create(ONE, "gpu0", TYPE);
        assertFacts(ONE, false, true);

        world.restart().plug();

        assertFacts(ONE, false, false);
    }

    @Test
    void aParentKeepsTheNameThatItCameWithWhateverItsDriverSaysLater() {
        world.driver.onParentName = name -> name + "-renamed";

        world.bus.create(ONE, "gpu0", TYPE);

        assertThat(world.bus.parents()).extracting(Parent::name).containsExactly("gpu0", "gpu1");
        assertThat(status(ONE).parent()).isEqualTo("gpu0");
        world.driver.onParentName =
                name -> {
                    throw new IllegalStateException("no name any more");
                };
        world.bus.remove(ONE);
        world.bus.removeParent("gpu0", Duration.ZERO);
        assertThat(world.bus.parents()).extracting(Parent::name).containsExactly("gpu1");
    }

    @Test
    void aDefinedDeviceIsThereAfterARestartAndStartsWhenAsked() {
        world.bus.define(definition(ONE));
        assertFacts(ONE, true, false);

        world.restart().plug();

        assertFacts(ONE, true, false);
        world.bus.start(ONE);
        assertFacts(ONE, true, true);
        world.bus.stop(ONE, Removal.IF_UNUSED);
        assertFacts(ONE, true, false);
        world.bus.undefine(ONE);
        assertFacts(ONE, false, false);
    }

    @Test
    void aDeviceThatIsToStartWithItsParentDoesWheneverTheParentComes() {
        world.bus.create(definition(ONE).withAutostart(true));
        world.bus.define(new MdevDefinition(TWO, "gpu1", TYPE, true));
        assertFacts(ONE, true, true);
        assertFacts(TWO, true, false);

        world.restart();
        assertFacts(ONE, true, false);
        world.plug();

        assertFacts(ONE, true, true);
        assertFacts(TWO, true, true);
        assertThat(world.facts(MdevEvent.Started.class))
                .extracting(started -> started.mdev().uuid())
                .containsExactlyInAnyOrder(ONE, TWO);
    }

    @Test
    void oneThatDoesNotStartKeepsNoneOfTheOthersFromStarting() {
        world.bus.define(new MdevDefinition(ONE, "gpu0", "t16", true));
        world.bus.define(new MdevDefinition(TWO, "gpu0", TYPE, true));
        world.bus.define(new MdevDefinition(THREE, "gpu1", TYPE, true));
        world.disk.put("junk.mdev", "junk".getBytes(StandardCharsets.US_ASCII));

        world.restart().plug();

        assertFacts(ONE, true, true);
        assertFacts(TWO, true, false);
        assertFacts(THREE, true, true);
        assertThat(world.facts(MdevEvent.StartFailed.class))
                .singleElement()
                .satisfies(failure -> {
                    assertThat(failure.uuid()).isEqualTo(TWO);
                    assertThat(failure.reason()).contains("EUSERS").contains("4 pages");
                });
        assertThat(world.bus.quarantined()).hasSize(1);
        assertThat(world.facts(MdevEvent.DefinitionQuarantined.class)).hasSize(1);
        world.bus.discardQuarantined("junk.mdev");
        assertThat(world.bus.quarantined()).isEmpty();
    }

    @Test
    void autostartCanBeTurnedOnAndOff() {
        world.bus.define(definition(ONE));
        world.bus.redefine(definition(ONE).withAutostart(true));
        world.restart().plug();
        assertFacts(ONE, true, true);

        world.bus.redefine(definition(ONE));
        world.restart().plug();
        assertFacts(ONE, true, false);
        assertFails(() -> world.bus.redefine(definition(TWO)), Errno.ENOENT);
    }

    @Test
    void promotingWritesDownWhatIsActive() {
        world.bus.create(ONE, "gpu1", TYPE);

        world.bus.promote(ONE, true);

        assertThat(world.bus.definitions())
                .containsExactly(new MdevDefinition(ONE, "gpu1", TYPE, true));
        assertFacts(ONE, true, true);
        assertFails(() -> world.bus.promote(ONE, true), Errno.EEXIST);
        assertFails(() -> world.bus.promote(TWO, true), Errno.ENODEV);
        world.restart().plug();
        assertFacts(ONE, true, true);
    }

    @Test
    void undefiningAnActiveDeviceLeavesATransientOne() {
        world.bus.create(definition(ONE));

        world.bus.undefine(ONE);

        assertFacts(ONE, false, true);
        world.bus.stop(ONE, Removal.IF_UNUSED);
        assertFacts(ONE, false, false);
    }

    @Test
    void removingEndsTheDeviceAndItsDefinitionWhateverOfThemThereIs() {
        world.bus.create(definition(ONE));
        world.bus.define(definition(TWO));
        world.bus.create(THREE, "gpu0", TYPE);

        for (UUID uuid : List.of(ONE, TWO, THREE)) {
            assertThat(world.bus.remove(uuid).trouble()).isEmpty();
            assertFacts(uuid, false, false);
            assertFails(() -> world.bus.remove(uuid), Errno.ENODEV);
        }
        assertThat(world.disk.names()).containsExactly("journal");
    }

    @Test
    void aUuidIsOneDeviceOverAllParentsAndDefinitions() {
        world.bus.create(ONE, "gpu0", TYPE);
        world.bus.define(definition(TWO));

        assertFails(() -> world.bus.create(ONE, "gpu1", TYPE), Errno.EEXIST);
        assertFails(() -> world.bus.create(TWO, "gpu1", TYPE), Errno.EEXIST);
        assertFails(() -> world.bus.create(TWO, "gpu0", TYPE), Errno.EEXIST);
        assertFails(() -> world.bus.create(definition(TWO)), Errno.EEXIST);
        assertFails(() -> world.bus.define(definition(TWO)), Errno.EEXIST);
        assertFails(
                () -> world.bus.define(new MdevDefinition(ONE, "gpu1", TYPE, false)), Errno.EEXIST);
        assertFails(
                () -> world.bus.define(new MdevDefinition(ONE, "gpu0", "t16", false)),
                Errno.EEXIST);
        world.bus.define(definition(ONE));
        world.bus.start(TWO);
        assertFails(() -> world.bus.start(TWO), Errno.EEXIST);
    }

    @Test
    void aUuidThatIsTakenIsSaidBeforeThatNothingFits() {
        world.bus.create(ONE, "gpu0", "t16");

        assertFails(() -> world.bus.create(ONE, "gpu0", "t16"), Errno.EEXIST);
        assertFails(() -> world.bus.create(TWO, "gpu0", "t16"), Errno.EUSERS);
    }

    @Test
    void whatIsNotThereIsSaid() {
        assertFails(() -> world.bus.create(ONE, "none", TYPE), Errno.ENODEV);
        assertFails(() -> world.bus.create(ONE, "gpu0", "none"), Errno.ENOENT);
        assertFails(() -> world.bus.start(ONE), Errno.ENOENT);
        assertFails(() -> world.bus.undefine(ONE), Errno.ENOENT);
        assertFails(() -> world.bus.stop(ONE, Removal.IF_UNUSED), Errno.ENODEV);
        assertFails(
                () -> world.bus.define(new MdevDefinition(ONE, "gpu0", "none", false)),
                Errno.ENOENT);
        world.bus.define(new MdevDefinition(ONE, "comes-later", "whatever", true));
        assertFails(() -> world.bus.start(ONE), Errno.ENODEV);
    }

    @Test
    void creatingADefinedDeviceWhoseDriverThrowsLeavesNeither() {
        world.driver.onCreate =
                device -> {
                    throw new MdevException(Errno.ENXIO, "no");
                };

        assertFails(() -> world.bus.create(definition(ONE)), Errno.ENXIO);

        assertFacts(ONE, false, false);
        assertThat(world.disk.names()).containsExactly("journal");
        world.driver.onCreate = device -> {};
        world.bus.create(definition(ONE));
    }

    @Test
    void startingADefinedDeviceWhoseDriverThrowsLeavesItDefined() {
        world.bus.define(definition(ONE));
        world.driver.onCreate =
                device -> {
                    throw new IllegalStateException("bug");
                };

        assertFails(() -> world.bus.start(ONE), Errno.EIO);

        assertFacts(ONE, true, false);
        assertThat(world.bus.parent("gpu0").usage().getFirst().freePages()).isEqualTo(16);
    }

    @Test
    void whatCannotBeWrittenDownDoesNotHappen() {
        world.bus.create(ONE, "gpu0", TYPE);
        world.bus.define(definition(TWO));
        world.disk.failWith(Errno.ENOSPC);

        assertFails(() -> world.bus.create(THREE, "gpu0", TYPE), Errno.ENOSPC);
        assertFails(() -> world.bus.define(definition(THREE)), Errno.ENOSPC);
        assertFails(() -> world.bus.start(TWO), Errno.ENOSPC);
        assertFails(() -> world.bus.promote(ONE, false), Errno.ENOSPC);
        assertFails(() -> world.bus.undefine(TWO), Errno.ENOSPC);
        assertFails(() -> world.bus.remove(ONE), Errno.ENOSPC);

        world.disk.failWith(null);
        assertFacts(ONE, false, true);
        assertFacts(TWO, true, false);
        assertFacts(THREE, false, false);
        MdevAssignment held = world.bus.find(ONE).orElseThrow().assign("vm");
        held.close();
        world.bus.remove(ONE);
        world.bus.start(TWO);
    }

    @Test
    void theThreeFactsAreIndependent() {
        world.bus.create(definition(ONE));
        Mdev mdev = world.bus.find(ONE).orElseThrow();
        MdevAssignment held = mdev.assign("vm");

        MdevStatus status = status(ONE);
        assertThat(status.holder()).hasValue("vm");
        assertThat(status.owner()).isEqualTo(Owner.OURS);
        assertThat(status.heldPages()).isEqualTo(4);
        world.bus.undefine(ONE);
        assertThat(status(ONE).holder()).hasValue("vm");
        assertThat(status(ONE).definition()).isEmpty();
        held.close();
        assertThat(status(ONE).holder()).isEmpty();
        assertThat(world.facts(MdevEvent.Assigned.class)).hasSize(1);
        assertThat(world.facts(MdevEvent.Unassigned.class)).hasSize(1);
    }

    @Test
    void whileADeviceIsBeingMadeItsUuidIsTakenAndNobodyFindsIt() throws Exception {
        CountDownLatch inCreate = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        world.driver.onCreate =
                device -> {
                    inCreate.countDown();
                    Deadlines.await(goOn);
                };
        CompletableFuture<Mdev> making =
                CompletableFuture.supplyAsync(() -> world.bus.create(ONE, "gpu0", TYPE));
        inCreate.await();

        assertFails(() -> world.bus.create(ONE, "gpu1", TYPE), Errno.EEXIST);
        assertFails(() -> world.bus.remove(ONE), Errno.EAGAIN);
        assertThat(world.bus.find(ONE)).isEmpty();
        assertThat(world.bus.mdevs()).isEmpty();
        assertThat(status(ONE).activity()).isEqualTo(Activity.STARTING);
        goOn.countDown();

        assertThat(making.get()).isSameAs(world.bus.find(ONE).orElseThrow());
    }

    @Test
    void closingKeepsDefinitionsAndEndsDevicesSoThatNothingIsDirty() {
        world.bus.create(definition(ONE).withAutostart(true));
        world.bus.create(TWO, "gpu1", TYPE);
        MdevAssignment held = world.bus.find(ONE).orElseThrow().assign("vm");

        assertFails(() -> world.bus.close(), Errno.EBUSY);
        held.close();
        world.bus.close();

        assertFails(() -> world.bus.create(THREE, "gpu0", TYPE), Errno.ESHUTDOWN);
        assertFails(() -> world.bus.define(definition(THREE)), Errno.ESHUTDOWN);
        assertThat(card.vram.isZero(0, 16)).isTrue();
        assertThat(other.vram.isZero(0, 16)).isTrue();
        world.bus.close();
        long before = world.scrubs.size();
        world.restart();
        world.driver.marksPages = false;
        world.plug();
        assertThat(world.scrubs).as("nothing was left to scrub").hasSize((int) before);
        assertFacts(ONE, true, true);
    }

    @Test
    void eventsAreNumberedWithoutGaps() {
        world.bus.create(definition(ONE));
        world.bus.remove(ONE);

        List<MdevEvent> all = world.events;
        for (int i = 0; i < all.size(); i++) {
            assertThat(all.get(i).sequence()).isEqualTo(i + 1);
        }
        assertThat(all)
                .extracting(event -> event.fact().getClass().getSimpleName())
                .containsExactly(
                        "ParentArrived",
                        "ParentArrived",
                        "Defined",
                        "Started",
                        "Undefined",
                        "Stopped");
    }

    @Test
    void aParentThatWentComesBackWithWhatIsDefined() {
        world.bus.create(definition(ONE).withAutostart(true));
        world.bus.removeParent("gpu0", Duration.ZERO);

        assertThat(world.bus.parents()).extracting(Parent::name).containsExactly("gpu1");
        assertThat(status(ONE).activity()).isEqualTo(Activity.INACTIVE);
        assertThat(world.driver.calls).contains("close gpu0");
        CardDriver again = new CardDriver(card);
        world.bus.addDriver(again, Map.of());

        assertThat(world.bus.find(ONE)).isPresent();
        assertThat(again.leaks).isEmpty();
        assertFails(() -> world.bus.removeParent("none", Duration.ZERO), Errno.ENODEV);
    }
}
