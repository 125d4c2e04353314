package dev.mdev.testkit;

import dev.mdev.api.ExistingDevice;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.layout.ParentLayout;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.function.Supplier;

/// The devices' descriptions, and their creation and end.
abstract class LifeCycleRules extends Rules {
    @DriverRule
    void theDriverHasAStableName() {
        ParentDriver driver = newDriver();
        String name = guarded("name", driver::name);
        require(ParentLayout.isDriverName(name), "driver name=%s", name);
        requireSame("name of the driver", () -> guarded("name", driver::name));
        require(
                name.equals(guarded("name", () -> subject().newDriver().name())),
                "two driver objects have two names");
    }

    /// Names, pools and types keep to the rules that the host checks: it took the parents.
    @DriverRule
    void parentsAreWellFormedAndStayTheSame() {
        atHost(host -> {
            require(!host.parents().isEmpty(), "no parent device was found");
            Set<String> names = new HashSet<>();
            for (InMemoryParent parent : host.parents()) {
                ParentLayout first = parent.layout();
                require(!first.types().isEmpty(), "parent %s has no types", parent.name());
                require(names.add(parent.name()), "two parents are called %s", parent.name());
                ParentLayout second = parent.layoutNow();
                require(first.equals(second), "a parent is %s and then %s", first, second);
            }
        });
    }

    @DriverRule
    void everythingThatIsAvailableCanBeCreated() {
        atHost(host -> {
            for (InMemoryParent parent : host.parents()) {
                parent.layout().types().forEach(type -> fillTwice(parent, type.id()));
            }
        });
    }

    /// The second round finds leftovers of removed devices.
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

    @DriverRule
    void whatADeviceSaysOfItselfStaysTheSame() {
        forEachType(mdev -> {
            new HostileGuest(mdev, random()).run(50);
            requireSame("regions", () -> mdev.ask("regions", MdevDevice::regions));
            requireSame("identity", mdev::identity);
            requireSame("irqs", mdev::irqs);
            requireSame("pci", () -> mdev.ask("pci", MdevDevice::pci));
            requireSame("doorbells", () -> mdev.ask("doorbells", MdevDevice::doorbells));
            requireSame("isConcurrent", () -> mdev.ask("isConcurrent", MdevDevice::isConcurrent));
            requireSame(
                    "clearedByHost", () -> mdev.ask("clearedByHost", MdevDevice::clearedByHost));
            requireSame("isMovable", () -> mdev.ask("isMovable", MdevDevice::isMovable));
            require(
                    mdev.ask("regions", MdevDevice::regions).equals(mdev.regions()),
                    "regions changed after creation");
        });
    }

    @DriverRule
    void aRemovedDeviceLeavesNothing() {
        // The close of the host checks that its pages stay scrubbed, that its context is unused,
        // and that its threads end.
        atHost(host -> {
            InMemoryParent parent = host.parents().getFirst();
            String type = parent.layout().types().getFirst().id();
            SplittableRandom random = random();
            for (int i = 0; i < 5; i++) {
                InMemoryMdev mdev = parent.create(type);
                new HostileGuest(mdev, random.split()).run(300);
                mdev.close();
                require(mdev.guestMemory().pins() == 0, "a removed device keeps pins");
            }
        });
    }

    @DriverRule
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

    /// A device that the host did not create has pages of its own, and an adoption leaves their
    /// content alone. The driver no longer reports an adopted device.
    @DriverRule
    void existingDevicesAreSoundAndKeepTheirContent() {
        atHost(host -> host.parents().forEach(this::adoptAll));
    }

    private void adoptAll(InMemoryParent parent) {
        List<ExistingDevice> found = parent.existing();
        Set<UUID> uuids = new HashSet<>();
        for (ExistingDevice existing : found) {
            require(uuids.add(existing.uuid()), "two existing devices are %s", existing.uuid());
            byte[] before = parent.contentOf(existing.share());
            try {
                InMemoryMdev mdev = parent.adopt(existing);
                require(
                        Arrays.equals(before, parent.contentOf(existing.share())),
                        "the adoption changed the content of %s",
                        existing.uuid());
                require(
                        parent.existing().stream().noneMatch(e -> e.uuid().equals(existing.uuid())),
                        "%s was adopted, and is told of still",
                        existing.uuid());
                new HostileGuest(mdev, random()).run(100);
            } catch (MdevException e) {
                // The driver tells of devices that it does not hand over.
            }
        }
        requireNotOurs(parent);
    }

    private static void requireNotOurs(InMemoryParent parent) {
        String type = parent.layout().types().getFirst().id();
        if (parent.available(type) == 0) {
            return;
        }
        try (InMemoryMdev ours = parent.create(type)) {
            require(
                    parent.existing().stream().noneMatch(e -> e.uuid().equals(ours.uuid())),
                    "the driver tells of a device that the host made");
        }
    }

    void requireReplay(AccessTrace trace, InMemoryMdev mdev, String what) {
        if (subject().isDeterministic()) {
            List<String> difference = trace.replay(mdev.guest());
            require(difference.isEmpty(), "%s differ: %s", what, difference);
        }
    }

    static boolean roomForTwo(InMemoryHost host) {
        InMemoryParent parent = host.parents().getFirst();
        return parent.available(parent.layout().types().getFirst().id()) >= 2;
    }

    private static void requireSame(String what, Supplier<?> value) {
        Object first = value.get();
        Object second = value.get();
        require(first.equals(second), "%s is %s and then %s", what, first, second);
    }
}
