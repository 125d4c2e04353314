package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.MdevException;
import dev.mdev.api.page.PfnRange;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.ApertureRun;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.PoolRuns;
import dev.mdev.core.store.CrashPlan;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/// Every verb, ended by a crash at every step with an effect outside the process: files, devices,
/// memory. A new process finds the old or the new state, no page is lost, and no device gets a page
/// with another's bytes.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class CrashTest {
    private static final UUID ONE = new UUID(3, 1);
    private static final UUID TWO = new UUID(3, 2);
    private static final UUID ALIEN = new UUID(3, 9);
    private static final long PAGES = 12;
    private static final String TYPE = "t3";
    private static final int ROUNDS = Integer.getInteger("mdev.crash.rounds", 15);

    private static MdevDefinition definition(UUID uuid, boolean autostart) {
        return new MdevDefinition(uuid, "gpu0", TYPE, autostart);
    }

    /// A verb, and its initial state. TWO always exists, and must stay as it is.
    @SuppressWarnings("ImmutableEnumChecker") // what to do, which has no state
    enum Scenario {
        CREATE(bus -> {}, bus -> bus.create(ONE, "gpu0", TYPE)),
        CREATE_DEFINED(bus -> {}, bus -> bus.create(definition(ONE, false))),
        CREATE_AUTOSTARTED(bus -> {}, bus -> bus.create(definition(ONE, true))),
        DEFINE(bus -> {}, bus -> bus.define(definition(ONE, true))),
        PROMOTE(bus -> bus.create(ONE, "gpu0", TYPE), bus -> bus.promote(ONE, false)),
        UNDEFINE(bus -> bus.define(definition(ONE, true)), bus -> bus.undefine(ONE)),
        UNDEFINE_ACTIVE(bus -> bus.create(definition(ONE, false)), bus -> bus.undefine(ONE)),
        AUTOSTART(
                bus -> bus.define(definition(ONE, false)),
                bus -> bus.redefine(definition(ONE, true))),
        START(bus -> bus.define(definition(ONE, false)), bus -> bus.start(ONE)),
        STOP_TRANSIENT(
                bus -> bus.create(ONE, "gpu0", TYPE), bus -> bus.stop(ONE, Removal.IF_UNUSED)),
        STOP_DEFINED(
                bus -> bus.create(definition(ONE, false)), bus -> bus.stop(ONE, Removal.IF_UNUSED)),
        REMOVE_TRANSIENT(bus -> bus.create(ONE, "gpu0", TYPE), bus -> bus.remove(ONE)),
        REMOVE_DEFINED(bus -> bus.create(definition(ONE, true)), bus -> bus.remove(ONE)),
        REMOVE_ONLY_DEFINED(bus -> bus.define(definition(ONE, true)), bus -> bus.remove(ONE)),
        FAIL(bus -> {}, CrashTest::createThatFails),
        MOVE(bus -> bus.create(ONE, "gpu0", TYPE), CrashTest::moveOne),
        ADOPT(bus -> {}, bus -> bus.adopt(ALIEN)),
        CLOSE(bus -> bus.create(definition(ONE, false)), MdevBus::close);

        private final Consumer<MdevBus> before;
        private final Consumer<MdevBus> verb;

        Scenario(Consumer<MdevBus> before, Consumer<MdevBus> verb) {
            this.before = before;
            this.verb = verb;
        }
    }

    private static void createThatFails(MdevBus bus) {
        try {
            // Nothing but the refused type differs from a creation that works.
            bus.create(ONE, "gpu0", "t3-refused");
            throw new AssertionError("created");
        } catch (MdevException e) {
            assertThat(e).hasMessageContaining("refused");
        }
    }

    private static void moveOne(MdevBus bus) {
        Mdev mdev = bus.find(ONE).orElseThrow();
        long base = mdev.parent().aperturePfns().firstPfn();
        bus.defragment(
                new DefragPlan(
                        "gpu0",
                        TYPE,
                        List.of(
                                new DefragPlan.Move(
                                        ONE,
                                        Card.POOL,
                                        mdev.share().getFirst().extents(),
                                        List.of(new PfnRange(base + PAGES - 3, 3))))));
    }

    /// The facts about the device, by the result of a crash.
    private record Facts(Set<String> defined, Set<UUID> active) {
        static Facts of(BusWorld world) {
            return new Facts(
                    world.bus.definitions().stream()
                            .map(one -> one.uuid() + (one.autostart() ? " auto" : ""))
                            .collect(Collectors.toCollection(TreeSet::new)),
                    world.bus.mdevs().stream()
                            .map(Mdev::uuid)
                            .collect(Collectors.toCollection(TreeSet::new)));
        }
    }

    private static BusWorld prepared(
            Scenario scenario, boolean keepsDevices, SplittableRandom random) {
        Card card =
                new Card("gpu0", PAGES, keepsDevices)
                        .with(TYPE, 3, 1, true)
                        .with("t3-refused", 3, 1, true)
                        .with("t1", 1, 1, true);
        if (keepsDevices && scenario == Scenario.ADOPT) {
            card.kept.put(
                    ALIEN,
                    new Card.Kept(
                            TYPE,
                            List.of(new PoolRuns(Card.POOL, List.of(new ApertureRun(6, 3))))));
        }
        BusWorld world = new BusWorld(random, BusWorld.DEADLINE, card);
        refuseOneType(world);
        world.plug();
        world.bus.create(definition(TWO, true));
        scenario.before.accept(world.bus);
        return world;
    }

    private static void refuseOneType(BusWorld world) {
        world.driver.onCreate =
                device -> {
                    if (device.context.type().id().equals("t3-refused")) {
                        throw new IllegalStateException("refused");
                    }
                };
    }

    @ParameterizedTest
    @EnumSource
    void everyVerbEndsOldOrNewWhereverItIsKilled(Scenario scenario) {
        for (boolean keepsDevices : new boolean[] {false, true}) {
            if (scenario == Scenario.ADOPT && !keepsDevices) {
                continue;
            }
            Facts after = after(scenario, keepsDevices);
            for (boolean powerLost : new boolean[] {false, true}) {
                int steps = 0;
                while (crashAt(new Run(scenario, keepsDevices, powerLost, steps), after)) {
                    steps++;
                }
                assertThat(steps).as("places to crash at").isGreaterThan(4);
            }
        }
    }

    /// A process that dies after `step` steps of a verb, and perhaps its host with it.
    private record Run(Scenario scenario, boolean keepsDevices, boolean powerLost, int step) {}

    /// @return whether the process died before the verb was over
    private static boolean crashAt(Run run, Facts after) {
        String what = run.toString();
        Scenario scenario = run.scenario();
        BusWorld old = prepared(scenario, run.keepsDevices(), new SplittableRandom(run.step()));
        Facts before = survivors(old, run.keepsDevices());
        old.plan.crashAfter(run.step());
        if (old.plan.survives(() -> scenario.verb.accept(old.bus))) {
            old.plan.disarm();
        }
        boolean crashed = old.plan.hasCrashed();
        if (run.powerLost()) {
            old.disk.loseWhatIsNotDurable();
        }
        BusWorld world = old.restart();
        refuseOneType(world);
        world.plug();
        Facts found = Facts.of(world);
        if (crashed) {
            assertThat(found).as(what).isIn(before, after);
        } else {
            assertThat(found).as(what).isEqualTo(after);
        }
        assertThat(world.bus.quarantined()).as(what).isEmpty();
        assertThat(world.facts(MdevEvent.Lost.class)).as(what).isEmpty();
        if (!run.powerLost()) {
            assertThat(world.facts(MdevEvent.JournalTrouble.class)).as(what).isEmpty();
        }
        checkPages(world, scenario, what);
        return crashed;
    }

    /// What a new process finds if the verb was done.
    private static Facts after(Scenario scenario, boolean keepsDevices) {
        BusWorld world = prepared(scenario, keepsDevices, new SplittableRandom(1));
        scenario.verb.accept(world.bus);
        Facts facts = survivors(world, keepsDevices);
        world.leave();
        return facts;
    }

    private static Facts survivors(BusWorld world, boolean keepsDevices) {
        if (scenarioClosed(world)) {
            return new Facts(Facts.of(world).defined(), Set.of(TWO));
        }
        Facts now = Facts.of(world);
        Set<UUID> active =
                world.bus.definitions().stream()
                        .filter(MdevDefinition::autostart)
                        .map(MdevDefinition::uuid)
                        .collect(Collectors.toCollection(TreeSet::new));
        if (keepsDevices) {
            active.addAll(now.active());
        }
        return new Facts(now.defined(), active);
    }

    private static boolean scenarioClosed(BusWorld world) {
        return world.bus.parents().isEmpty();
    }

    /// No page is lost or shared, free pages are zero, each device has its bytes, and the whole
    /// card can be handed out without a leak.
    private static void checkPages(BusWorld world, Scenario scenario, String what) {
        world.check();
        for (CardDriver.Device device : world.driver.devices.values()) {
            if (!device.uuid().equals(ALIEN)) {
                assertThat(device.hasItsMarks()).as("%s %s", what, device.uuid()).isTrue();
            }
        }
        Optional<MdevStatus> alien = world.bus.status(ALIEN);
        if (scenario == Scenario.ADOPT && alien.orElseThrow().activity() == Activity.ACTIVE) {
            if (world.bus.find(ALIEN).isEmpty()) {
                world.bus.adopt(ALIEN);
            }
        }
        for (Mdev mdev : world.bus.mdevs()) {
            world.bus.remove(mdev.uuid());
        }
        for (int i = 0; i < PAGES; i++) {
            world.bus.create(new UUID(4, i), "gpu0", "t1");
        }
        assertThat(world.driver.leaks).as(what).isEmpty();
        world.close();
        assertThat(world.cards[0].kept).as(what).isEmpty();
        assertThat(world.cards[0].vram.isZero(0, PAGES)).as(what).isTrue();
    }

    /// A crash while the host recovers from a crash is one more crash.
    @ParameterizedTest
    @EnumSource(names = {"CREATE_DEFINED", "REMOVE_DEFINED", "MOVE", "STOP_TRANSIENT", "FAIL"})
    void aCrashDuringTheRecoveryFromACrashEndsTheSame(Scenario scenario) {
        SplittableRandom random = new SplittableRandom(scenario.ordinal());
        for (boolean keepsDevices : new boolean[] {false, true}) {
            Facts after = after(scenario, keepsDevices);
            int crashes = 0;
            while (crashes < ROUNDS) {
                BusWorld world = prepared(scenario, keepsDevices, random.split());
                Facts before = survivors(world, keepsDevices);
                world.plan.crashAfter(random.nextInt(60));
                var _ = world.plan.survives(() -> scenario.verb.accept(world.bus));
                recoverCrashing(world, random);
                crashes++;
                assertThat(Facts.of(world)).isIn(before, after);
                checkPages(world, scenario, scenario + " with crashes in recovery");
            }
        }
    }

    private static void recoverCrashing(BusWorld world, SplittableRandom random) {
        for (int attempt = 0; attempt < 6; attempt++) {
            CrashPlan plan = new CrashPlan();
            if (attempt < 5) {
                plan.crashAfter(random.nextInt(60));
            }
            boolean lives =
                    plan.survives(() -> {
                        world.restart(plan);
                        refuseOneType(world);
                        world.plug();
                    });
            plan.disarm();
            if (lives && !plan.hasCrashed()) {
                return;
            }
        }
    }
}
