package dev.mdev.core.kernelbus;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Attribute;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.device.Activity;
import dev.mdev.core.device.Parent;
import dev.mdev.core.ledger.MdevDefinition;
import dev.mdev.core.ledger.Owner;
import dev.mdev.core.support.Together;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;

/// The contract on a fake kernel.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class FakeKernelBusTest extends KernelBusContract {
    private static final UUID THREE = UUID.fromString("33333333-3333-4333-8333-333333333333");

    private final FakeKernel kernel = new FakeKernel();

    @Override
    KernelFiles files() {
        return kernel;
    }

    @Override
    AutoCloseable use(UUID uuid) {
        kernel.setOpen(uuid, true);
        return () -> kernel.setOpen(uuid, false);
    }

    @Override
    void loadModule(String module) {
        kernel.load(module);
    }

    @Override
    void unloadModule(String module) {
        assertThat(kernel.unload(module)).isTrue();
    }

    @Override
    String user() {
        return "qemu-system-x86";
    }

    @Test
    void attributesAreWrittenInTheirOrderWithDuplicates() {
        List<Attribute> attributes =
                List.of(
                        new Attribute("vendor/b", "1"),
                        new Attribute("resolution", "640x480"),
                        new Attribute("vendor/b", "2"));

        bus.create(ONE, "mbochs", "mbochs-small", attributes);

        assertThat(kernel.settings())
                .containsExactly(
                        ONE + "/vendor/b=1", ONE + "/resolution=640x480", ONE + "/vendor/b=2");
    }

    @Test
    void aRefusedAttributeNamesItsValueAndTheErrno() {
        kernel.refuseAttributes(Errno.ERANGE);

        assertThat(
                        failure(
                                () ->
                                        bus.create(
                                                ONE,
                                                "mdpy",
                                                "mdpy-vga",
                                                List.of(new Attribute("resolution", "1x1"))),
                                Errno.EINVAL))
                .hasMessageContaining("resolution")
                .hasMessageContaining("1x1")
                .hasMessageContaining("ERANGE");
        assertThat(isInKernel(ONE)).isFalse();
    }

    @Test
    void aDeviceWithoutAllAttributesThatCannotBeRemovedIsNamedAndForeign() {
        kernel.refuseAttributes(Errno.ERANGE);
        kernel.refuseRemovals(Optional.of(Errno.EIO));
        List<Attribute> attributes = List.of(new Attribute("resolution", "1x1"));

        MdevException refused =
                failure(() -> bus.create(ONE, "mdpy", "mdpy-vga", attributes), Errno.EINVAL);

        assertThat(refused)
                .hasMessageContaining("resolution")
                .hasMessageContaining("it stays, and is foreign: fake kernel");
        bus.rescan("mdpy");
        assertThat(status(ONE).owner()).isEqualTo(Owner.FOREIGN);
        kernel.refuseRemovals(Optional.empty());
    }

    @Test
    void aDeviceThatTheKernelDoesNotRemoveIsSeenAsForeign() {
        bus.create(ONE, "mtty", "mtty-1");
        kernel.refuseRemovals(Optional.of(Errno.EIO));

        assertThat(bus.remove(ONE).trouble().orElseThrow()).contains("fake kernel");

        bus.rescan("mtty");
        assertThat(status(ONE).owner()).isEqualTo(Owner.FOREIGN);
        kernel.refuseRemovals(Optional.empty());
    }

    /// Errors that the sample drivers do not give, or not at will.
    @ParameterizedTest
    @CsvSource({
        "EINVAL, EINVAL, its driver may say why in the kernel's log",
        "ENOENT, ENODEV, parent=mtty or its type left",
        "ENODEV, ENODEV, parent=mtty or its type left",
        "EACCES, EACCES, this service may not write there",
        "EPERM,  EPERM,  this service may not write there",
        "EIO,    EIO,    fake kernel",
    })
    void anErrorOfTheKernelComesWithWords(Errno kernel, Errno told, String words) {
        this.kernel.refuseDevices(kernel);

        MdevException refused = failure(() -> bus.create(ONE, "mtty", "mtty-1"), told);

        assertThat(refused)
                .hasMessageContaining("mdev=" + ONE)
                .hasMessageContaining("with " + kernel)
                .hasMessageContaining(words);
        assertThat(bus.status(ONE)).isEmpty();
    }

    /// All of it between two looks.
    @Test
    void aUuidThatOthersMakeAnewIsSeenAsItIsAndNotTouched() {
        makeForeign("mtty", "mtty-1", ONE);
        bus.create(TWO, "mtty", "mtty-1");
        bus.create(THREE, "mtty", "mtty-1");
        bus.rescanDriver(KernelBusDriver.NAME);
        for (UUID uuid : List.of(ONE, TWO, THREE)) {
            kernel.writeAside("/sys/bus/mdev/devices/" + uuid + "/remove", "1");
        }
        makeForeign("mtty", "mtty-2", ONE);
        makeForeign("mtty", "mtty-2", TWO);
        // Its turn is before that of mtty.
        makeForeign("mbochs", "mbochs-small", THREE);

        bus.rescanDriver(KernelBusDriver.NAME);

        for (UUID uuid : List.of(ONE, TWO, THREE)) {
            assertThat(status(uuid).owner()).isEqualTo(Owner.FOREIGN);
            failure(() -> bus.remove(uuid), Errno.EPERM);
            assertThat(isInKernel(uuid)).isTrue();
        }
        assertThat(status(ONE).type()).isEqualTo("mtty-2");
        assertThat(status(TWO).type()).isEqualTo("mtty-2");
        assertThat(status(THREE).parent()).isEqualTo("mbochs");
        assertThat(available("mtty", "mtty-1")).isEqualTo(20);
    }

    /// Where no message comes, the names of the devices are what they were.
    @Test
    void aUuidThatOthersMakeAnewBetweenTwoLooksIsSeen() {
        makeForeign("mtty", "mtty-1", ONE);
        restart(LOOKING);
        assertThat(status(ONE).parent()).isEqualTo("mtty");

        synchronized (kernel) {
            kernel.writeAside("/sys/bus/mdev/devices/" + ONE + "/remove", "1");
            makeForeign("mbochs", "mbochs-small", ONE);
        }

        await(() -> bus.status(ONE).filter(it -> it.parent().equals("mbochs")).isPresent());
    }

    @Test
    void aDeviceIsNotAdoptedInThePlaceOfAnotherOfItsUuid() {
        makeForeign("mtty", "mtty-1", ONE);
        bus.rescan("mtty");
        kernel.writeAside("/sys/bus/mdev/devices/" + ONE + "/remove", "1");
        makeForeign("mtty", "mtty-2", ONE);

        failure(() -> bus.adopt(ONE), Errno.ENODEV);

        bus.rescan("mtty");
        bus.adopt(ONE);
        assertThat(status(ONE).type()).isEqualTo("mtty-2");
    }

    @Test
    void aDeviceOfAnotherTypeThatHasTheUuidIsNotRemoved() {
        bus.create(ONE, "mtty", "mtty-1");
        kernel.writeAside("/sys/bus/mdev/devices/" + ONE + "/remove", "1");
        makeForeign("mtty", "mtty-2", ONE);

        bus.remove(ONE);

        assertThat(isInKernel(ONE)).isTrue();
        bus.rescanDriver(KernelBusDriver.NAME);
        assertThat(status(ONE).owner()).isEqualTo(Owner.FOREIGN);
    }

    @Test
    void aRemovalKeepsADefinitionOfTheUuidOnAnotherParent() {
        MdevDefinition defined = new MdevDefinition(ONE, "mtty", "mtty-1", true);
        bus.define(defined);
        makeForeign("mdpy", "mdpy-vga", ONE);
        bus.rescan("mdpy");
        bus.adopt(ONE);

        bus.remove(ONE);

        assertThat(isInKernel(ONE)).isFalse();
        assertThat(bus.definitions()).containsExactly(defined);
        restart(DEAF);
        assertThat(status(ONE).activity()).as("its parent starts it").isEqualTo(Activity.ACTIVE);
        assertThat(status(ONE).parent()).isEqualTo("mtty");
        bus.remove(ONE);
        assertThat(bus.definitions()).isEmpty();
    }

    @Test
    void aDescriptionOfSeveralLinesIsOneLine() {
        assertThat(bus.parent("mdpy").type("mdpy-vga").description())
                .isEqualTo("virtual display, 640x480");
        assertThat(bus.parent("mtty").type("mtty-1").description()).isEmpty();
        assertThat(bus.parent("mtty").description()).contains("mtty");
    }

    /// A message may be lost with the socket that fails, and none comes any more.
    @Test
    void aHostThatCannotListenAnyMoreStillLooks() throws Exception {
        restart(Map.of("poll-millis", "50"));
        makeForeign("mtty", "mtty-1", ONE);
        await(() -> bus.status(ONE).isPresent());

        kernel.breakMessages();
        makeForeign("mtty", "mtty-1", TWO);
        await(() -> bus.status(TWO).isPresent());

        restart(LOOKING);
        kernel.writeAside("/sys/bus/mdev/devices/" + ONE + "/remove", "1");
        await(() -> bus.status(ONE).isEmpty());
    }

    @Test
    void aKernelThatRefusesToTellIsReportedAndTheDriverLooks() throws Exception {
        kernel.breakMessages();
        List<String> told = new ArrayList<>();
        restart(Map.of("poll-millis", "50"), told::add);
        makeForeign("mtty", "mtty-1", ONE);

        await(() -> bus.status(ONE).isPresent());

        assertThat(told).singleElement().asString().contains("cannot listen", "no messages");
    }

    private static final String MTTY = "/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-1/";

    /// Missing, unreadable, half written.
    @ParameterizedTest
    @CsvSource({"ENOENT, ''", "EACCES, ''", "EIO, ''", ", ''", ", 1x", ", -1", ", 99999999999"})
    void aNumberThatCannotBeReadIsNamedAndNothingIsHalfDone(@Nullable Errno errno, String text) {
        kernel.spoil(
                MTTY + "available_instances",
                () -> {
                    if (errno != null) {
                        throw new MdevException(errno, "read path=" + MTTY + "available_instances");
                    }
                    return text;
                });

        assertThat(available("mtty", "mtty-1")).isZero();
        assertThat(bus.explain("mtty", "mtty-1").text()).contains(MTTY + "available_instances");
        assertThat(available("mtty", "mtty-2")).isEqualTo(12);
        assertThat(isInKernel(ONE)).isFalse();
    }

    @Test
    void aParentWhoseTypeCannotBeReadIsReportedAndTheOthersAreThere() {
        kernel.spoil(
                MTTY + "name",
                () -> {
                    throw new MdevException(Errno.EACCES, "read path=" + MTTY + "name");
                });
        List<String> told = new ArrayList<>();
        restart(DEAF, told::add);

        assertThat(bus.parents()).extracting(Parent::name).containsExactly("mbochs", "mdpy");
        assertThat(told)
                .singleElement()
                .asString()
                .contains("parent=mtty is left out", MTTY + "name");
        kernel.mend();
        bus.rescanDriver(KernelBusDriver.NAME);
        assertThat(available("mtty", "mtty-1")).isEqualTo(24);
    }

    @Test
    void aFileThatBlocksIsNamedAsOverdueAndKeepsNobody() throws Exception {
        CountDownLatch gate = new CountDownLatch(1);
        hasten();
        kernel.spoil(
                MTTY + "available_instances",
                () -> {
                    try {
                        gate.await();
                    } catch (InterruptedException e) {
                        throw new IllegalStateException(e);
                    }
                    return "24";
                });

        assertThat(available("mtty", "mtty-1")).as("after the deadline").isZero();

        assertThat(bus.explain("mtty", "mtty-1").text()).contains("room", "not returned");
        await(() -> !bus.overdueCalls().isEmpty());
        assertThat(bus.overdueCalls())
                .singleElement()
                .satisfies(call -> assertThat(call.owner()).isEqualTo("parent=mtty"))
                .satisfies(call -> assertThat(call.callback()).isEqualTo("room"));
        await(() -> available("mdpy", firstTypeOf("mdpy")) == 4);
        bus.create(ONE, "mtty", "mtty-1");
        assertThat(isInKernel(ONE)).isTrue();
        gate.countDown();
        Together.await("the file answers", () -> available("mtty", "mtty-2") == 11);
        assertThat(bus.overdueCalls()).isEmpty();
    }
}
