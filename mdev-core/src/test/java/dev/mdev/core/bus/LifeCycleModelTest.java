package dev.mdev.core.bus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.capacity.DefragPlan;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.support.Seeded;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.ConcurrentLinkedQueue;

/// Random verbs, crashes at random steps, restarts; against a model of the defined and active
/// devices. Devices fill their pages with bytes of their own and check for bytes of others.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class LifeCycleModelTest {
    private static final String[] TYPES = {"t1", "t3", "t4", "scattered5"};
    private static final int UUIDS = 6;
    private static final int VERBS = 40;

    private static Card card(SplittableRandom random) {
        return new Card("gpu0", random.nextInt(8, 20), random.nextBoolean())
                .with("t1", 1, 1, true)
                .with("t3", 3, 1, true)
                .with("t4", 4, 4, true)
                .with("scattered5", 5, 1, false);
    }

    /// What must be true; the active ones with their type.
    private static final class Model {
        final Map<UUID, MdevDefinition> defined = new HashMap<>();
        final Map<UUID, String> active = new HashMap<>();

        Model copy() {
            Model copy = new Model();
            copy.defined.putAll(defined);
            copy.active.putAll(active);
            return copy;
        }

        /// What is left of it after the process is gone.
        void restart(boolean keepsDevices) {
            if (!keepsDevices) {
                active.clear();
            }
        }

        boolean isTruthOf(MdevBus bus) {
            Set<MdevDefinition> found = new HashSet<>(bus.definitions());
            Map<UUID, String> there = new HashMap<>();
            bus.mdevs().forEach(mdev -> there.put(mdev.uuid(), mdev.type().id()));
            return found.equals(new HashSet<>(defined.values())) && there.equals(active);
        }
    }

    private static UUID uuid(SplittableRandom random) {
        return new UUID(13, random.nextInt(UUIDS));
    }

    @Test
    void whatIsDefinedAndActiveIsWhatTheModelSaysAndNobodySeesAnothersBytes() {
        Seeded.run(120, LifeCycleModelTest::live);
    }

    private static void live(SplittableRandom random) {
        Card card = card(random);
        BusWorld world = new BusWorld(random.split(), BusWorld.DEADLINE, card).plug();
        Model model = new Model();
        for (int i = 0; i < VERBS; i++) {
            Model before = model.copy();
            boolean mayCrash = random.nextInt(4) == 0;
            if (mayCrash) {
                world.plan.crashAfter(random.nextInt(50));
            }
            Model now = model;
            if (world.plan.survives(() -> doSomething(world.bus, now, random))) {
                world.plan.disarm();
            } else {
                assertThat(mayCrash).isTrue();
            }
            if (world.plan.hasCrashed() || random.nextInt(10) == 0) {
                model = restart(world, before, model, random);
            }
            assertThat(model.isTruthOf(world.bus)).as("step %d", i).isTrue();
            world.check();
        }
        world.driver.devices.values().forEach(device -> assertThat(device.hasItsMarks()).isTrue());
        world.close();
        assertThat(card.vram.isZero(0, card.vram.npages())).isTrue();
    }

    /// @return the model that is true now: of the two that may be, if the process was killed
    private static Model restart(
            BusWorld world, Model before, Model after, SplittableRandom random) {
        boolean keepsDevices = world.cards[0].keepsDevices;
        if (random.nextBoolean()) {
            world.disk.loseWhatIsNotDurable();
        }
        world.restart().plug();
        before.restart(keepsDevices);
        after.restart(keepsDevices);
        if (after.isTruthOf(world.bus)) {
            return after;
        }
        assertThat(before.isTruthOf(world.bus)).as("old or new").isTrue();
        return before;
    }

    /// Does something with the bus and, before that, with the model: should the process die in the
    /// middle, both the model of before and this one may be true.
    private static void doSomething(MdevBus bus, Model model, SplittableRandom random) {
        UUID uuid = uuid(random);
        String type = TYPES[random.nextInt(TYPES.length)];
        MdevDefinition definition = new MdevDefinition(uuid, "gpu0", type, false);
        boolean isDefined = model.defined.containsKey(uuid);
        boolean isActive = model.active.containsKey(uuid);
        switch (random.nextInt(9)) {
            case 0 -> {
                boolean free = !isDefined && !isActive;
                boolean fits = free && bus.explain("gpu0", type).fits();
                if (fits) {
                    model.active.put(uuid, type);
                }
                expect(
                        fits ? null : free ? Errno.EUSERS : Errno.EEXIST,
                        () -> bus.create(uuid, "gpu0", type));
            }
            case 1 -> {
                boolean free = !isDefined && !isActive;
                boolean fits = free && bus.explain("gpu0", type).fits();
                if (fits) {
                    model.active.put(uuid, type);
                    model.defined.put(uuid, definition);
                }
                expect(
                        fits ? null : free ? Errno.EUSERS : Errno.EEXIST,
                        () -> bus.create(definition));
            }
            case 2 -> {
                boolean same = !isActive || type.equals(model.active.get(uuid));
                boolean works = !isDefined && same;
                if (works) {
                    model.defined.put(uuid, definition);
                }
                expect(works ? null : Errno.EEXIST, () -> bus.define(definition));
            }
            case 3 -> {
                model.defined.remove(uuid);
                expect(isDefined ? null : Errno.ENOENT, () -> bus.undefine(uuid));
            }
            case 4 -> start(bus, model, uuid);
            case 5 -> {
                model.active.remove(uuid);
                expect(isActive ? null : Errno.ENODEV, () -> bus.stop(uuid, Removal.IF_UNUSED));
            }
            case 6 -> {
                model.active.remove(uuid);
                model.defined.remove(uuid);
                expect(isActive || isDefined ? null : Errno.ENODEV, () -> bus.remove(uuid));
            }
            case 7 -> {
                String activeType = model.active.get(uuid);
                if (activeType != null && !isDefined) {
                    model.defined.put(uuid, new MdevDefinition(uuid, "gpu0", activeType, false));
                }
                expect(
                        !isActive ? Errno.ENODEV : isDefined ? Errno.EEXIST : null,
                        () -> bus.promote(uuid, false));
            }
            default -> {
                Optional<DefragPlan> plan = bus.explain("gpu0", type).plan();
                plan.ifPresent(bus::defragment);
            }
        }
    }

    private static void start(MdevBus bus, Model model, UUID uuid) {
        MdevDefinition definition = model.defined.get(uuid);
        if (definition == null) {
            expect(Errno.ENOENT, () -> bus.start(uuid));
            return;
        }
        if (model.active.containsKey(uuid)) {
            expect(Errno.EEXIST, () -> bus.start(uuid));
            return;
        }
        boolean fits = bus.explain("gpu0", definition.type()).fits();
        if (fits) {
            model.active.put(uuid, definition.type());
        }
        expect(fits ? null : Errno.EUSERS, () -> bus.start(uuid));
    }

    /// @param errno how it must fail, or null if it must not
    private static void expect(@Nullable Errno errno, Runnable verb) {
        try {
            verb.run();
        } catch (MdevException e) {
            assertThat(e.errno()).as("%s", e.getMessage()).isEqualTo(errno);
            return;
        }
        assertThat(errno).as("does not fail").isNull();
    }

    @Test
    void aUuidIsNobodysTwiceWhateverSeveralThreadsDo() throws Exception {
        Card card = new Card("gpu0", 32, false).with("t1", 1, 1, true).with("t3", 3, 1, true);
        BusWorld world = new BusWorld(card).plug();
        SplittableRandom seeds = new SplittableRandom();
        Thread[] threads = new Thread[4];
        Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
        for (int i = 0; i < threads.length; i++) {
            SplittableRandom random = seeds.split();
            threads[i] =
                    Thread.ofPlatform()
                            .start(() -> {
                                try {
                                    meddle(world.bus, random);
                                } catch (RuntimeException | Error e) {
                                    failures.add(e);
                                }
                            });
        }
        for (Thread thread : threads) {
            thread.join();
        }

        assertThat(failures).isEmpty();
        assertThat(world.driver.leaks).isEmpty();
        world.check();
        for (MdevStatus status : world.bus.statuses()) {
            assertThat(status.owner()).isEqualTo(Owner.OURS);
            assertThat(status.activity()).isIn(Activity.ACTIVE, Activity.INACTIVE);
        }
        assertThat(world.driver.devices.keySet())
                .containsExactlyInAnyOrderElementsOf(
                        world.bus.mdevs().stream().map(Mdev::uuid).toList());
        world.close();
        assertThat(card.vram.isZero(0, 32)).isTrue();
    }

    private static void meddle(MdevBus bus, SplittableRandom random) {
        for (int i = 0; i < 150; i++) {
            UUID uuid = uuid(random);
            String type = random.nextBoolean() ? "t1" : "t3";
            try {
                switch (random.nextInt(7)) {
                    case 0 -> bus.create(uuid, "gpu0", type);
                    case 1 -> bus.create(new MdevDefinition(uuid, "gpu0", type, false));
                    case 2 -> bus.define(new MdevDefinition(uuid, "gpu0", type, false));
                    case 3 -> bus.undefine(uuid);
                    case 4 -> bus.start(uuid);
                    case 5 -> bus.stop(uuid, Removal.IF_UNUSED);
                    default -> bus.remove(uuid);
                }
            } catch (MdevException e) {
                assertThat(e.errno())
                        .as("%s", e.getMessage())
                        .isIn(Errno.EEXIST, Errno.EAGAIN, Errno.ENODEV, Errno.ENOENT, Errno.EUSERS);
            }
        }
    }
}
