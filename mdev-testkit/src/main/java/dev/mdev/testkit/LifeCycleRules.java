package dev.mdev.testkit;

import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.RegionInfo;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.PfnRange;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/// Who the devices are, and how they come and go.
abstract class LifeCycleRules extends Rules {
    @Test
    void theDriverHasAStableName() {
        ParentDriver driver = subject().newDriver();
        require(driver.name().matches("[a-z0-9-]{1,32}"), "driver name=%s", driver.name());
        requireSame("name of the driver", driver::name);
        require(
                driver.name().equals(subject().newDriver().name()),
                "two driver objects have two names");
    }

    @Test
    void parentsAreWellFormedAndStayTheSame() {
        atHost(host -> {
            require(!host.parents().isEmpty(), "no parent device was found");
            Set<String> names = new HashSet<>();
            for (InMemoryParent parent : host.parents()) {
                checkParent(parent.device());
                require(
                        names.add(parent.device().name()),
                        "two parents are called %s",
                        parent.device().name());
            }
        });
    }

    private static void checkParent(ParentDevice parent) {
        require(parent.name().matches("[A-Za-z0-9.:_-]{1,64}"), "parent name=%s", parent.name());
        requireSame("name", parent::name);
        requireSame("description", parent::description);
        requireSame("aperture", () -> parent.aperture().pfns());
        requireSame("pools", parent::pools);
        requireSame("types", parent::types);
        require(!parent.types().isEmpty(), "parent %s has no types", parent.name());
        List<PfnRange> seen = new ArrayList<>();
        Set<String> pools = new HashSet<>();
        for (ResourcePool pool : parent.pools()) {
            require(pool.name().matches("[a-z0-9-]+"), "pool name=%s", pool.name());
            require(pools.add(pool.name()), "two pools are called %s", pool.name());
            require(
                    parent.aperture().pfns().contains(pool.pfns()),
                    "pool %s leaves the aperture",
                    pool);
            require(seen.stream().noneMatch(pool.pfns()::overlaps), "pool %s overlaps", pool);
            seen.add(pool.pfns());
        }
        checkTypes(parent);
    }

    private static void checkTypes(ParentDevice parent) {
        Set<String> ids = new HashSet<>();
        for (MdevType type : parent.types()) {
            require(type.id().matches("[A-Za-z0-9._-]{1,64}"), "type id=%s", type.id());
            require(ids.add(type.id()), "two types are called %s", type.id());
            Set<String> demanded = new HashSet<>();
            for (MdevType.Demand demand : type.demands()) {
                require(demanded.add(demand.pool()), "%s demands twice of a pool", type.id());
                require(
                        parent.pools().stream().anyMatch(p -> p.name().equals(demand.pool())),
                        "%s demands of a pool that is not there: %s",
                        type.id(),
                        demand.pool());
            }
        }
    }

    @Test
    void everythingThatIsAvailableCanBeCreated() {
        atHost(host -> {
            for (InMemoryParent parent : host.parents()) {
                parent.device().types().forEach(type -> fillTwice(parent, type.id()));
            }
        });
    }

    /// The second time shows what a removed device kept.
    private static void fillTwice(InMemoryParent parent, String type) {
        int available = parent.available(type);
        require(available >= 1, "no device of type %s can be made on an empty parent", type);
        for (int round = 0; round < 2; round++) {
            List<InMemoryMdev> mdevs = new ArrayList<>();
            for (int i = 0; i < available; i++) {
                mdevs.add(createOrFail(parent, type, i));
                int left = parent.available(type);
                require(
                        left == available - i - 1,
                        "%d of %d devices of %s made, yet %d are available",
                        i + 1,
                        available,
                        type,
                        left);
            }
            mdevs.forEach(InMemoryMdev::close);
            require(
                    parent.available(type) == available,
                    "%d of %d devices of %s are available after all were removed",
                    parent.available(type),
                    available,
                    type);
        }
    }

    static InMemoryMdev createOrFail(InMemoryParent parent, String type, int before) {
        try {
            return parent.create(type);
        } catch (MdevException e) {
            throw new ContractViolation(
                    "after %d others a device of type %s is refused: %s".formatted(before, type, e),
                    e);
        }
    }

    @Test
    void whatADeviceSaysOfItselfStaysTheSame() {
        forEachType(mdev -> {
            checkRegions(mdev.regions());
            new HostileGuest(mdev, random()).run(50);
            requireSame("regions", () -> mdev.device().regions());
            requireSame("identity", mdev::identity);
            requireSame("irqs", mdev::irqs);
            require(
                    mdev.device().regions().equals(mdev.regions()),
                    "regions changed after creation");
        });
    }

    private static void checkRegions(List<RegionInfo> regions) {
        Set<Integer> indexes = new HashSet<>();
        for (RegionInfo region : regions) {
            require(indexes.add(region.index()), "two regions have index %d", region.index());
        }
    }

    @Test
    void aRemovedDeviceLeavesNothing() {
        // That its pages stay scrubbed, that its context is let alone and that its threads end is
        // looked at when the host closes.
        atHost(host -> {
            InMemoryParent parent = host.parents().getFirst();
            String type = parent.device().types().getFirst().id();
            SplittableRandom random = random();
            for (int i = 0; i < 5; i++) {
                InMemoryMdev mdev = parent.create(type);
                new HostileGuest(mdev, random.split()).run(300);
                mdev.close();
                require(mdev.guestMemory().pins() == 0, "a removed device keeps pins");
            }
        });
    }

    @Test
    void anotherDevicesEndIsNotNoticed() {
        atHost(host -> {
            if (roomForTwo(host)) {
                InMemoryMdev stays = anyDevice(host);
                String type = stays.type().id();
                AccessTrace before = registers(stays);
                InMemoryMdev goes = host.parents().getFirst().create(type);
                new HostileGuest(goes, random()).run(200);
                goes.close();
                requireReplay(before, stays, "registers after another device's end");
            }
        });
    }

    void requireReplay(AccessTrace trace, InMemoryMdev mdev, String what) {
        if (subject().isDeterministic()) {
            List<String> difference = trace.replay(mdev.guest());
            require(difference.isEmpty(), "%s differ: %s", what, difference);
        }
    }

    static boolean roomForTwo(InMemoryHost host) {
        InMemoryParent parent = host.parents().getFirst();
        return parent.available(parent.device().types().getFirst().id()) >= 2;
    }

    private static void requireSame(String what, Supplier<?> value) {
        Object first = value.get();
        Object second = value.get();
        require(first.equals(second), "%s is %s and then %s", what, first, second);
    }
}
