package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.COMMAND;
import static dev.mdev.core.vm.PciMachine.MASTER;
import static dev.mdev.core.vm.PciMachine.MEMORY;
import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.api.GuestMemory.Pin;
import dev.mdev.api.MdevException;
import dev.mdev.api.PciOptions;
import dev.mdev.api.page.Access;
import dev.mdev.core.engine.GuestAccess.Span;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import java.lang.foreign.MemorySegment;

/// What a reset of a function undoes, for every kind of reset.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PciResetTest {
    private final PciMachine machine = new PciMachine();

    @AfterEach
    void stop() {
        machine.close();
    }

    @Test
    void anOperatorsResetUndoesWhatTheGuestSetUp() {
        AttachedDevice device = inUse();

        device.mdev().reset();

        assertReset(device);
    }

    @Test
    void aGuestResetsByTheAdvancedFeaturesCapability() {
        AttachedDevice device = inUse();
        long control = device.configGpa() + device.config().capability(0x13) + 4;

        machine.store(control, 1, 1);

        assertReset(device);
    }

    @Test
    void aGuestResetsByThePciExpressCapability() {
        machine.driver.options = PciOptions.EXPRESS;
        AttachedDevice device = inUse();
        long control = device.configGpa() + device.config().capability(0x10) + 8;

        machine.store(control, 2, machine.load(control, 2) | 1 << 15);

        assertReset(device);
    }

    @Test
    void sleepHidesTheDeviceAndWakingUpResetsIt() {
        AttachedDevice device = inUse();
        long bar = device.barGpa(0).orElseThrow();
        long power = device.configGpa() + device.config().capability(0x01) + 4;

        machine.store(power, 2, 3);

        assertThat(machine.answers(bar)).isFalse();
        assertThat(device.mdev().residentPages()).isZero();
        assertErrno(
                Errno.ENODEV,
                () -> machine.device(0).memory().read(0, MemorySegment.ofArray(new byte[1])));
        machine.device(0).context.interrupts().trigger(0);
        assertThat(device.interrupts().count(0)).isZero();
        assertThat(machine.device(0).events).isEmpty();
        machine.store(power, 2, 0);
        assertReset(device);
    }

    @Test
    void whatIsPinnedStaysPinned() {
        AttachedDevice device = machine.attach();
        Pin pin = machine.device(0).memory().pin(0, 3, Access.WRITE);

        device.mdev().reset();

        assertThat(device.dma().pinnedPages()).isEqualTo(3);
        assertErrno(Errno.ENODEV, () -> pin.write(0, MemorySegment.ofArray(new byte[1])));
        device.config().write(COMMAND, 2, MASTER);
        pin.write(0, MemorySegment.ofArray(new byte[] {1}));
        assertThat(machine.load(0, 1)).isOne();
        pin.close();
    }

    @Test
    void firmwareThatRunsAgainPutsBarsWhereTheyWere() {
        AttachedDevice device = inUse();
        var before = device.barGpas();
        device.mdev().reset();

        device.runFirmware();

        assertThat(device.barGpas()).isEqualTo(before);
        assertThat(machine.load(device.barGpa(0).orElseThrow(), 8)).isEqualTo(42);
    }

    @Test
    void theHostRunsTheFirmwareOnlyOfMachinesThatHaveOne() {
        AttachedDevice device = inUse();
        var before = device.barGpas();
        device.mdev().reset();
        device.mdev().runFirmware();
        assertThat(device.barGpas()).isEqualTo(before);

        AttachedDevice bare =
                machine.vm.attach(
                        machine.create(),
                        new AttachOptions(false, AttachOptions.DEFAULT_PIN_LIMIT_PAGES));
        bare.mdev().reset();
        bare.mdev().runFirmware();
        assertThat(bare.barGpas()).isEmpty();

        device.mdev().reset();
        machine.vm.detach(device.mdev().uuid());
        device.mdev().runFirmware();
        assertThat(device.barGpas()).as("in no machine").isEmpty();
    }

    @Test
    void aResetThatTheDriverFailsIsAFaultOfTheGuestThatAsked() {
        AttachedDevice device = machine.attach();
        machine.device(0).whenReset =
                () -> {
                    throw new MdevException(Errno.EIO, "stuck");
                };
        long control = device.configGpa() + device.config().capability(0x13) + 4;

        ProgramResult result =
                machine.run(new GuestProgram.Step.Write(new Span(control, 1, 1, 0), 1, 0));

        assertThat(result.end()).isEqualTo(ProgramResult.End.FAULTED);
        assertThat(result.steps().getFirst().fault().orElseThrow().refusal().reason())
                .contains("stuck");
        assertThat(device.config().read(COMMAND, 2)).isZero();
        assertErrno(Errno.EIO, () -> device.mdev().reset());
        assertErrno(
                Errno.EIO, () -> device.config().write(device.config().capability(0x13) + 4, 1, 1));
    }

    @Test
    void aDriverMayRaiseItsLineWhileItIsReset() {
        AttachedDevice device = machine.attach();
        machine.device(0).whenReset = () -> machine.device(0).context.interrupts().setLine(true);

        device.mdev().reset();

        assertThat(device.interrupts().lineCount()).isOne();
        assertThat(device.config().read(6, 1)).isEqualTo(0x18);
    }

    /// A device with everything on: memory used, messages enabled, one pending.
    private AttachedDevice inUse() {
        AttachedDevice device = machine.attach();
        machine.store(device.barGpa(0).orElseThrow(), 8, 42);
        device.enableMessages();
        device.config().write(0x3c, 1, 11);
        assertThat(device.mdev().residentPages()).isOne();
        return device;
    }

    private void assertReset(AttachedDevice device) {
        assertThat(machine.device(0).events).containsExactly("reset");
        assertThat(device.config().read(COMMAND, 2)).isZero();
        assertThat(device.config().read(0x10, 8)).isEqualTo(0xc);
        assertThat(device.config().read(0x3c, 1)).isZero();
        assertThat(device.barGpas()).isEmpty();
        assertThat(machine.deviceSlots()).isEmpty();
        assertThat(device.mdev().residentPages()).isZero();
        int msix = device.config().capability(0x11);
        assertThat(device.config().read(msix + 2, 2)).isEqualTo(7);
        machine.device(0).context.interrupts().trigger(0);
        assertThat(device.interrupts().count(0)).isZero();
        device.config().write(COMMAND, 2, MEMORY);
        assertThat(machine.deviceSlots()).isEmpty();
    }
}
