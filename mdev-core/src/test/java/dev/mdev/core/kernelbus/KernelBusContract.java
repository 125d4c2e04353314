package dev.mdev.core.kernelbus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.KernelNode;
import dev.mdev.api.MdevException;
import dev.mdev.core.bus.MdevEvent;
import dev.mdev.core.bus.MdevStatus;
import dev.mdev.core.bus.Removal;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.support.Together;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;

/// What the host does with a kernel that has the parents `mtty`, `mdpy` and `mbochs`: the same for
/// the fake and for a real one.
abstract class KernelBusContract extends KernelBusHost {
    private static Stream<Map<String, String>> attentive() {
        return Stream.of(LOOKING, LISTENING);
    }

    @Test
    void parentsAndTypesAreThoseOfTheKernel() {
        assertThat(bus.parents().stream().map(Parent::name))
                .containsExactlyInAnyOrder("mtty", "mdpy", "mbochs");
        assertThat(bus.parent("mtty").types())
                .extracting(type -> type.id())
                .containsExactlyInAnyOrder("mtty-1", "mtty-2");
        assertThat(bus.parent("mtty").type("mtty-1").deviceApi()).isEqualTo("vfio-pci");
        String name = bus.parent("mtty").type("mtty-1").name();
        assertThat(bus.parent("mtty").type(name).id()).as("by its name").isEqualTo("mtty-1");
        assertThat(bus.parent("mdpy").driverName()).isEqualTo("kernel-mdev");
        assertThat(bus.statuses()).isEmpty();
    }

    @Test
    void aDeviceLivesInTheKernelUntilItIsRemoved() {
        bus.create(ONE, "mdpy", bus.parent("mdpy").types().getFirst().id());

        assertThat(isInKernel(ONE)).isTrue();
        MdevStatus status = status(ONE);
        assertThat(status.owner()).isEqualTo(Owner.OURS);
        assertThat(status.holder()).isEmpty();
        KernelNode node = status.node().orElseThrow();
        assertThat(node.sysfs()).isEqualTo("/sys/bus/mdev/devices/" + ONE);
        assertThat(node.vfio()).contains("/dev/vfio/" + node.iommuGroup().orElseThrow());
        assertThat(bus.remove(ONE).trouble()).isEmpty();
        assertThat(isInKernel(ONE)).isFalse();
        assertThat(bus.status(ONE)).isEmpty();
    }

    @Test
    void typesThatShareAreCountedByTheKernel() {
        int single = available("mtty", "mtty-1");
        int dual = available("mtty", "mtty-2");
        bus.create(ONE, "mtty", "mtty-2");

        assertThat(available("mtty", "mtty-1")).isEqualTo(single - 2);
        assertThat(available("mtty", "mtty-2")).isEqualTo(dual - 1);
        assertThat(bus.explain("mtty", "mtty-1").text())
                .contains("fits", "available_instances=" + (single - 2), "1 of mtty-2", "hides");
    }

    @Test
    void aParentThatIsExhaustedSaysSo() {
        fill("mtty", "mtty-2", "ENOSPC");
        bus.statuses().forEach(status -> bus.remove(status.uuid()));
        fill("mdpy", firstTypeOf("mdpy"), "EUSERS");
        bus.statuses().forEach(status -> bus.remove(status.uuid()));
        fill("mbochs", firstTypeOf("mbochs"), "ENOSPC");
    }

    private void fill(String parent, String type, String errno) {
        for (int number = 1; available(parent, type) > 0; number++) {
            bus.create(new UUID(77, number), parent, type);
        }
        MdevException full = failure(() -> bus.create(ONE, parent, type), Errno.EUSERS);
        assertThat(full).hasMessageContaining(errno).hasMessageContaining("has no room");
        assertThat(bus.explain(parent, type).fits()).isFalse();
        assertThat(bus.status(ONE)).isEmpty();
    }

    @Test
    void aUuidOfTheKernelIsTaken() {
        makeForeign("mtty", "mtty-1", ONE);

        MdevException taken =
                failure(() -> bus.create(ONE, "mdpy", firstTypeOf("mdpy")), Errno.EEXIST);

        assertThat(taken).hasMessageContaining("parent=mtty");
        assertThat(isInKernel(ONE)).isTrue();
        bus.rescan("mtty");
        assertThat(status(ONE).owner()).isEqualTo(Owner.FOREIGN);
    }

    String firstTypeOf(String parent) {
        return bus.parent(parent).types().getFirst().id();
    }

    @Test
    void anAttributeThatTheKernelRefusesLeavesNoDevice() {
        List<Attribute> attributes = List.of(new Attribute("no_such_file", "1"));

        MdevException refused =
                failure(() -> bus.create(ONE, "mtty", "mtty-1", attributes), Errno.EINVAL);

        assertThat(refused).hasMessageContaining("attribute=no_such_file");
        assertThat(isInKernel(ONE)).isFalse();
        failure(
                () -> bus.create(ONE, "mtty", "mtty-1", List.of(new Attribute("remove", "1"))),
                Errno.EINVAL);
        failure(
                () ->
                        bus.create(
                                ONE,
                                "mtty",
                                "mtty-1",
                                List.of(new Attribute("mdev_type/create", TWO.toString()))),
                Errno.EINVAL);
        assertThat(files().list("/sys/bus/mdev/devices")).isEmpty();
    }

    @Test
    void aForeignDeviceIsLeftAloneUntilItIsAdopted() {
        makeForeign("mtty", "mtty-2", ONE);
        bus.rescan("mtty");
        assertThat(status(ONE).owner()).isEqualTo(Owner.FOREIGN);
        assertThat(status(ONE).node()).isPresent();
        failure(() -> bus.remove(ONE), Errno.EPERM);
        bus.removeParent("mtty", Duration.ZERO);
        assertThat(isInKernel(ONE)).isTrue();
        bus.rescanDriver(KernelBusDriver.NAME);

        bus.adopt(ONE);

        assertThat(status(ONE).owner()).isEqualTo(Owner.ADOPTED);
        restart(DEAF);
        assertThat(status(ONE).owner()).isEqualTo(Owner.ADOPTED);
        bus.remove(ONE);
        assertThat(isInKernel(ONE)).isFalse();
    }

    @Test
    void aParentThatLeftComesBackAlone() {
        bus.removeParent("mtty", Duration.ZERO);
        bus.removeParent("mdpy", Duration.ZERO);
        assertThat(failure(() -> bus.findParent(KernelBusDriver.NAME, "mtty0"), Errno.ENODEV))
                .hasMessageContaining("finds no parent=mtty0");
        failure(() -> bus.findParent(KernelBusDriver.NAME, "mbochs"), Errno.EEXIST);

        bus.findParent(KernelBusDriver.NAME, "mtty");

        assertThat(bus.parents()).extracting(Parent::name).containsExactly("mbochs", "mtty");
        bus.create(ONE, "mtty", "mtty-1");
        assertThat(isInKernel(ONE)).isTrue();
    }

    @Test
    void aDeviceCannotBeAttachedToAMachineOfTheHost() {
        bus.create(ONE, "mtty", "mtty-1");

        MdevException refused =
                failure(() -> bus.find(ONE).orElseThrow().assign("vm1"), Errno.EOPNOTSUPP);

        assertThat(refused).hasMessageContaining("/dev/vfio/");
    }

    @Test
    void aDeviceInUseIsNotRemovedAndItsUserIsNamed() throws Exception {
        bus.create(ONE, "mtty", "mtty-1");
        try (AutoCloseable _ = use(ONE)) {
            assertThat(status(ONE).holder().orElseThrow()).contains(user(), "pid");

            MdevException busy = failure(() -> bus.remove(ONE), Errno.EBUSY);

            assertThat(busy).hasMessageContaining(user());
            failure(() -> bus.removeUnusedParent("mtty"), Errno.EBUSY);
            failure(() -> bus.remove(ONE, new Removal(Duration.ofMillis(300), false)), Errno.EBUSY);
            assertThat(isInKernel(ONE)).isTrue();
            assertThat(status(ONE).activity()).isEqualTo(Activity.ACTIVE);
        }
        assertThat(status(ONE).holder()).isEmpty();
        bus.remove(ONE);
    }

    @Test
    void aForcedRemovalOfADeviceInUseReturnsAndEndsItWhenItIsClosed() throws Exception {
        bus.create(new MdevDefinition(ONE, "mtty", "mtty-1", false));
        int left = available("mtty", "mtty-1");
        hasten();
        try (AutoCloseable _ = use(ONE)) {
            MdevException leaving =
                    failure(
                            () -> bus.stop(ONE, Removal.forcing(Duration.ofMillis(10))),
                            Errno.EBUSY);

            assertThat(leaving).hasMessageContaining("is leaving").hasMessageContaining(user());
            // The folder goes first.
            await(() -> !isInKernel(ONE));
            MdevStatus status = status(ONE);
            assertThat(status.activity()).isEqualTo(Activity.STOPPING);
            assertThat(status.holder().orElseThrow()).contains(user());
            assertThat(status.trouble().orElseThrow()).contains("closed by");
            failure(() -> bus.start(ONE), Errno.EEXIST);
            failure(() -> bus.remove(ONE, Removal.forcing(Duration.ZERO)), Errno.EAGAIN);
            await(() -> available("mtty", "mtty-1") == left);
            assertThat(facts).anyMatch(MdevEvent.ReleaseRequested.class::isInstance);
        }
        await(() -> status(ONE).activity() == Activity.INACTIVE);
        await(() -> available("mtty", "mtty-1") == left + 1);
        assertThat(facts).anyMatch(MdevEvent.Stopped.class::isInstance);
        bus.start(ONE);
    }

    @Test
    void aHostThatEndsWhileADeviceIsLeavingForgetsItAndCannotUseItsUuidYet() throws Exception {
        bus.create(new MdevDefinition(ONE, "mtty", "mtty-1", true));
        hasten();
        try (AutoCloseable _ = use(ONE)) {
            failure(() -> bus.stop(ONE, Removal.forcing(Duration.ZERO)), Errno.EBUSY);

            restart(DEAF);

            assertThat(status(ONE).activity()).isEqualTo(Activity.INACTIVE);
            assertThat(facts)
                    .anyMatch(fact ->
                            fact instanceof MdevEvent.StartFailed failed
                                    && failed.reason().contains("still leaving"));
        }
        Together.await("the kernel has ended it", () -> tryStart(ONE).isPresent());
        assertThat(isInKernel(ONE)).isTrue();
    }

    private Optional<Object> tryStart(UUID uuid) {
        try {
            return Optional.of(bus.start(uuid));
        } catch (MdevException e) {
            assertThat(e.errno()).isEqualTo(Errno.EEXIST);
            return Optional.empty();
        }
    }

    @Test
    void aRestartOfTheHostLeavesDevicesAndTheirUsersAlone() throws Exception {
        bus.create(new MdevDefinition(ONE, "mtty", "mtty-1", true));
        bus.create(TWO, "mdpy", firstTypeOf("mdpy"));
        try (AutoCloseable _ = use(ONE)) {
            restart(DEAF);

            assertThat(status(ONE).owner()).isEqualTo(Owner.OURS);
            assertThat(status(ONE).activity()).isEqualTo(Activity.ACTIVE);
            assertThat(status(ONE).holder().orElseThrow()).contains(user());
            assertThat(status(TWO).owner()).isEqualTo(Owner.OURS);
        }
    }

    @ParameterizedTest
    @MethodSource("attentive")
    void whatOthersDoIsSeenByItself(Map<String, String> settings) throws Exception {
        restart(settings);
        bus.create(new MdevDefinition(ONE, "mtty", "mtty-1", true));
        files().writeAside("/sys/bus/mdev/devices/" + ONE + "/remove", "1");
        makeForeign("mtty", "mtty-1", TWO);

        await(() -> bus.status(TWO).isPresent());
        await(() -> status(ONE).activity() == Activity.INACTIVE);

        assertThat(status(TWO).owner()).isEqualTo(Owner.FOREIGN);
        files().writeAside("/sys/bus/mdev/devices/" + TWO + "/remove", "1");
        await(() -> bus.status(TWO).isEmpty());
    }

    @ParameterizedTest
    @MethodSource("attentive")
    void aParentLeavesWithItsModuleAndComesBackWithIt(Map<String, String> settings)
            throws Exception {
        restart(settings);
        bus.create(new MdevDefinition(ONE, "mtty", "mtty-1", true));
        bus.create(TWO, "mtty", "mtty-2");

        unloadModule("mtty");

        await(() -> bus.parents().stream().noneMatch(parent -> parent.name().equals("mtty")));
        assertThat(status(ONE).activity()).isEqualTo(Activity.INACTIVE);
        assertThat(bus.status(TWO)).isEmpty();
        assertThat(bus.parents()).hasSize(2);
        loadModule("mtty");
        await(() -> status(ONE).activity() == Activity.ACTIVE);
        assertThat(isInKernel(ONE)).isTrue();
    }
}
