package dev.mdev.core.kernelbus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.BusOptions;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.bus.MdevObserver;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.bus.Removal;
import dev.mdev.core.device.Activity;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.store.CrashPlan;
import dev.mdev.core.store.CrashingFiles;
import dev.mdev.gate.Deadlines;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.BiConsumer;

/// Every verb on a device of the kernel, ended by a crash before and after each write to the state
/// files and to the kernel. The kernel goes on; a new process finds the old or the new state, and
/// never a device with some of its attributes.
abstract class KernelCrashContract {
    private static final UUID ONE = new UUID(0x4000, 1);
    private static final UUID TWO = new UUID(0x4000, 2);
    private static final UUID ALIEN = new UUID(0x4000, 9);
    private static final String ROOM =
            "/sys/class/mdev_bus/mbochs/mdev_supported_types/mbochs-small/available_instances";
    private static final String FOLDER = "/sys/bus/mdev/devices/";

    /// The kernel of one run; without devices.
    abstract KernelFiles kernel();

    /// What a device of `mbochs` takes.
    abstract List<Attribute> attributes();

    /// Whether the kernel has the attributes of a device, all in their order.
    abstract boolean hasAttributes(UUID uuid);

    /// Whether the host dies with the process: what is tried.
    List<Boolean> powerLosses() {
        return List.of(false, true);
    }

    private MdevDefinition definition() {
        return new MdevDefinition(ONE, "mbochs", "mbochs-small", false, attributes());
    }

    /// A verb, and its initial state.
    @SuppressWarnings("ImmutableEnumChecker") // what to do, which has no state
    enum Scenario {
        CREATE(
                (_, _) -> {},
                (test, bus) -> bus.create(ONE, "mbochs", "mbochs-small", test.attributes())),
        CREATE_DEFINED((_, _) -> {}, (test, bus) -> bus.create(test.definition())),
        START((test, bus) -> bus.define(test.definition()), (_, bus) -> bus.start(ONE)),
        STOP(
                (test, bus) -> bus.create(test.definition()),
                (_, bus) -> bus.stop(ONE, Removal.IF_UNUSED)),
        REMOVE((_, bus) -> bus.create(ONE, "mtty", "mtty-1"), (_, bus) -> bus.remove(ONE)),
        REMOVE_DEFINED((test, bus) -> bus.create(test.definition()), (_, bus) -> bus.remove(ONE)),
        REMOVE_DEFINED_ELSEWHERE(
                KernelCrashContract::adoptWhatIsDefinedElsewhere, (_, bus) -> bus.remove(ALIEN)),
        ADOPT((_, _) -> {}, (_, bus) -> bus.adopt(ALIEN)),
        REFUSED_ATTRIBUTE((_, _) -> {}, KernelCrashContract::createWithBadAttribute);

        private final BiConsumer<KernelCrashContract, MdevBus> before;
        private final BiConsumer<KernelCrashContract, MdevBus> verb;

        Scenario(
                BiConsumer<KernelCrashContract, MdevBus> before,
                BiConsumer<KernelCrashContract, MdevBus> verb) {
            this.before = before;
            this.verb = verb;
        }
    }

    private void adoptWhatIsDefinedElsewhere(MdevBus bus) {
        bus.define(new MdevDefinition(ALIEN, "mbochs", "mbochs-small", false, attributes()));
        bus.rescan("mtty");
        bus.adopt(ALIEN);
    }

    private void createWithBadAttribute(MdevBus bus) {
        List<Attribute> attributes = new ArrayList<>(attributes());
        attributes.add(new Attribute("none", "2"));
        try {
            bus.create(ONE, "mbochs", "mbochs-small", attributes);
            throw new AssertionError("created");
        } catch (MdevException e) {
            assertThat(e).hasMessageContaining("attribute=none");
        }
    }

    /// The kernel as a process that may die sees it.
    private record DyingFiles(KernelFiles kernel, CrashPlan plan) implements KernelFiles {
        private void step(Runnable write) {
            plan.step();
            write.run();
            plan.step();
        }

        @Override
        public void write(String path, String text) {
            step(() -> kernel.write(path, text));
        }

        @Override
        public void writeAside(String path, String text) {
            step(() -> kernel.writeAside(path, text));
        }

        @Override
        public List<String> list(String folder) {
            return kernel.list(folder);
        }

        @Override
        public boolean exists(String path) {
            return kernel.exists(path);
        }

        @Override
        public Optional<String> link(String path) {
            return kernel.link(path);
        }

        @Override
        public String read(String path) {
            return kernel.read(path);
        }

        @Override
        public BusMessages listen() {
            throw new MdevException(Errno.EOPNOTSUPP, "nobody listens here");
        }
    }

    /// A kernel, a disk, and one process after the other.
    private final class World {
        final KernelFiles kernel = kernel();
        final String room = kernel.read(ROOM);
        final CrashingFiles.Disk disk;
        CrashPlan plan = new CrashPlan();
        HostMemory memory = new HostMemory(new OffHeapBackend());
        MdevBus bus;

        World(Scenario scenario, int seed) {
            disk = new CrashingFiles.Disk(new SplittableRandom(seed));
            bus = open();
            bus.create(TWO, "mdpy", "mdpy-vga");
            kernel.write(
                    "/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create",
                    ALIEN.toString());
            scenario.before.accept(KernelCrashContract.this, bus);
            bus.rescan("mtty");
        }

        private MdevBus open() {
            MdevBus opened =
                    new MdevBus(
                            memory,
                            new CrashingFiles(disk, plan),
                            BusOptions.of(Deadlines.HANG, MdevObserver.NONE));
            opened.addDriver(
                    new KernelBusDriver(new DyingFiles(kernel, plan)),
                    Map.of("poll-millis", "0", "poll-only", "true"));
            return opened;
        }

        /// The process is gone; a new one begins.
        void restart() {
            leave();
            plan = new CrashPlan();
            memory = new HostMemory(new OffHeapBackend());
            bus = open();
        }

        /// Removes all devices, and ends.
        void clear() {
            for (MdevStatus status : bus.statuses()) {
                if (status.owner() == Owner.FOREIGN) {
                    bus.adopt(status.uuid());
                }
                bus.remove(status.uuid());
            }
            // Of devices that are defined on another parent.
            bus.definitions().forEach(definition -> bus.undefine(definition.uuid()));
            assertThat(bus.statuses()).isEmpty();
            bus.close();
            memory.close();
        }

        void leave() {
            bus.context().watch().close();
            memory.close();
        }

        /// What an operator sees of the devices, by uuid.
        Map<UUID, String> facts() {
            Map<UUID, String> facts = new TreeMap<>();
            for (MdevStatus status : bus.statuses()) {
                boolean isThere = kernel.exists(FOLDER + status.uuid());
                assertThat(status.activity() == Activity.ACTIVE)
                        .as("%s in the kernel", status)
                        .isEqualTo(isThere);
                facts.put(
                        status.uuid(),
                        "%s %s %s"
                                .formatted(
                                        status.activity(),
                                        isThere ? status.owner() : "",
                                        status.definition().isPresent() ? "defined" : ""));
            }
            assertThat(kernel.list("/sys/bus/mdev/devices"))
                    .as("the bus knows all of the kernel's devices")
                    .allMatch(uuid -> facts.containsKey(UUID.fromString(uuid)));
            return facts;
        }
    }

    @ParameterizedTest
    @EnumSource
    void everyVerbEndsOldOrNewWhereverItIsKilled(Scenario scenario) {
        World done = new World(scenario, 1);
        scenario.verb.accept(this, done.bus);
        Map<UUID, String> after = done.facts();
        done.clear();
        for (boolean powerLost : powerLosses()) {
            int steps = 0;
            while (crashAt(scenario, powerLost, steps, after)) {
                steps++;
            }
            assertThat(steps).as("places to crash at").isGreaterThan(3);
        }
    }

    /// @return whether the process died before the verb was over
    private boolean crashAt(
            Scenario scenario, boolean powerLost, int step, Map<UUID, String> after) {
        World world = new World(scenario, step);
        Map<UUID, String> before = world.facts();
        world.plan.crashAfter(step);
        if (world.plan.survives(() -> scenario.verb.accept(this, world.bus))) {
            world.plan.disarm();
        }
        boolean crashed = world.plan.hasCrashed();
        if (powerLost) {
            world.disk.loseWhatIsNotDurable();
        }

        world.restart();

        String what = "%s died at %d, powerLost=%s".formatted(scenario, step, powerLost);
        Map<UUID, String> found = world.facts();
        assertThat(found).as(what).isIn(before, after);
        if (!crashed) {
            assertThat(found).as(what).isEqualTo(after);
        }
        requireWholeAttributes(scenario, found, what);
        requireRoom(world, what);
        return crashed;
    }

    private void requireWholeAttributes(Scenario scenario, Map<UUID, String> found, String what) {
        boolean isActive = found.getOrDefault(ONE, "").startsWith(Activity.ACTIVE.toString());
        if (isActive && scenario != Scenario.REMOVE) {
            assertThat(hasAttributes(ONE)).as(what).isTrue();
        }
    }

    /// Everything can be removed, and nothing holds room afterwards.
    private static void requireRoom(World world, String what) {
        world.clear();
        assertThat(world.kernel.list("/sys/bus/mdev/devices")).as(what).isEmpty();
        assertThat(world.kernel.read(ROOM)).as(what).isEqualTo(world.room);
    }
}
