package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MEMORY;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.RegionInfo;
import dev.mdev.core.device.Mdev;
import dev.mdev.core.device.MdevAssignment;
import dev.mdev.core.pci.IrqRequest;
import dev.mdev.core.pci.PciFunction;
import dev.mdev.core.pci.RegionAccess;
import dev.mdev.core.sys.EventFd;
import dev.mdev.core.sys.Syscalls;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

import java.util.concurrent.atomic.AtomicInteger;

/// A function whose owner maps BARs and binds interrupts itself, as a VFIO front end does.
class PciFunctionTest {
    private final PciMachine machine = new PciMachine();
    private final AtomicInteger windowChanges = new AtomicInteger();
    private final AtomicInteger signals = new AtomicInteger();
    private Mdev mdev;
    private MdevAssignment held;
    private PciFunction function;

    @BeforeEach
    void assign() {
        mdev = machine.create();
        held = mdev.assign("front end");
        function =
                new PciFunction(
                        held,
                        new PciFunction.Owner() {
                            @Override
                            public void windowsChanged() {
                                windowChanges.incrementAndGet();
                            }

                            @Override
                            public long gpaLimit() {
                                return 1L << 52;
                            }
                        });
    }

    @AfterEach
    void stop() {
        held.close();
        machine.close();
    }

    @Test
    void itListsTheDriversRegionsTheAddedBarAndConfigurationSpace() {
        assertThat(function.regions())
                .extracting(RegionInfo::index)
                .containsExactly(0, 2, 4, RegionInfo.CONFIG);
        assertThat(function.regions().getLast().sizeBytes()).isEqualTo(256);
    }

    @Test
    void regionsAreReadAndWrittenWhileMemoryIsDecoded() {
        assertFailed(Errno.EIO, function.read(2, 0, 4));
        assertFailed(Errno.EIO, function.write(2, 0, 4, 1));
        function.writeConfig(COMMAND, 2, MEMORY);

        function.write(2, 8, 4, 0x1234);
        assertThat(function.read(2, 8, 2)).isEqualTo(new RegionAccess.Done(0x1234));
        assertFailed(Errno.EINVAL, function.read(2, 253, 4));
        assertFailed(Errno.EINVAL, function.read(2, -1, 1));
        assertFailed(Errno.EINVAL, function.read(1, 0, 4));
        assertFailed(Errno.EINVAL, function.write(9, 0, 4, 0));
        assertThat(function.read(4, 12, 4)).isEqualTo(new RegionAccess.Done(1));
        assertThat(function.read(4, 4088, 8)).isEqualTo(new RegionAccess.Done(0));
    }

    @Test
    void configurationSpaceIsARegionToo() {
        assertThat(function.read(RegionInfo.CONFIG, 0, 4))
                .isEqualTo(new RegionAccess.Done(0x11e9_1234L));
        function.write(RegionInfo.CONFIG, 0x10, 8, 1L << 40);
        function.write(RegionInfo.CONFIG, COMMAND, 2, MEMORY);

        assertThat(function.config().windows()).hasSize(1);
        assertThat(windowChanges).hasValue(1);
        for (long outside : new long[] {256, -5, Long.MAX_VALUE, Long.MIN_VALUE, 1L << 32}) {
            assertThat(function.read(RegionInfo.CONFIG, outside, 4))
                    .as("%x", outside)
                    .isEqualTo(new RegionAccess.Done(0xffff_ffffL));
        }
    }

    @Test
    void theOwnerBindsInterruptsAndConfigurationSpaceDoesNot() {
        function.connect(machine.device(0).memory());
        int msix = function.config().capability(0x11);
        function.interrupts()
                .setIrqs(IrqRequest.bind(IrqRequest.MSIX, 8, signals::incrementAndGet));

        function.writeConfig(msix + 2, 2, 1 << 15);
        function.writeConfig(msix + 2, 2, 0);
        machine.device(0).context.interrupts().trigger(7);

        assertThat(signals).hasValue(1);
        function.writeConfig(function.config().capability(0x13) + 4, 1, 1);
        machine.device(0).context.interrupts().trigger(0);
        assertThat(signals).as("a reset keeps what is bound").hasValue(2);
    }

    @Test
    void anInterruptReachesTheEventfdThatItsVectorIsBoundTo() {
        function.connect(machine.device(0).memory());
        int msix = function.config().capability(0x11);
        try (EventFd event = new EventFd(Syscalls.ofThisProcess(), "vector0")) {
            function.interrupts().setIrqs(IrqRequest.bind(IrqRequest.MSIX, 1, event::signal));
            function.writeConfig(msix + 2, 2, 1 << 15);

            machine.device(0).context.interrupts().trigger(0);
            machine.device(0).context.interrupts().trigger(0);

            assertThat(event.take()).isEqualTo(2);
        }
    }

    @Test
    void anAssignmentThatIsOverReachesTheDriverNoMore() {
        function.writeConfig(COMMAND, 2, MEMORY);
        held.close();

        assertFailed(Errno.ENODEV, function.read(2, 0, 4));
        assertFailed(
                Errno.ENODEV, function.writeConfig(function.config().capability(0x13) + 4, 1, 1));
        assertThat(machine.device(0).events).containsExactly("reset");
        held = mdev.assign("again");
    }

    private static void assertFailed(Errno errno, RegionAccess outcome) {
        assertThat(outcome)
                .isInstanceOfSatisfying(
                        RegionAccess.Failed.class,
                        failed -> assertThat(failed.refusal().errno()).isEqualTo(errno));
    }
}
