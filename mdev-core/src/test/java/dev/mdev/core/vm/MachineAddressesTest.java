package dev.mdev.core.vm;

import static dev.mdev.core.vm.PciMachine.assertErrno;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.Errno;
import dev.mdev.core.engine.software.SoftwareOptions;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Machines on processors with few address bits.
class MachineAddressesTest {
    @Test
    void theWindowOfBarsIsTheSameWhereItFits() {
        assertThat(new MachineAddresses(52).barWindowGpa()).isEqualTo(1L << 40);
        assertThat(new MachineAddresses(42))
                .satisfies(addresses -> {
                    assertThat(addresses.barWindowGpa()).isEqualTo(1L << 40);
                    assertThat(addresses.ecamGpa()).isEqualTo((1L << 41) - (1 << 20));
                });
        assertErrno(Errno.EINVAL, () -> new MachineAddresses(31));
        assertErrno(Errno.EINVAL, () -> new MachineAddresses(53));
    }

    @ParameterizedTest
    @ValueSource(ints = {36, 39, 40, 41, 46})
    void everythingOfAMachineIsWhereItsGuestReachesIt(int bits) {
        SoftwareOptions few = SoftwareOptions.DEFAULT.withPhysicalAddressBits(bits);
        try (PciMachine machine = new PciMachine(PciMachine.RAM_BYTES, few)) {
            AttachedDevice device = machine.attach();

            assertThat(device.barGpas()).isNotEmpty();
            assertThat(device.barGpas().values())
                    .allSatisfy(gpa -> assertThat(gpa).isBetween(1L << 31, (1L << bits) - 1));
            assertThat(device.configGpa() + 4096).isLessThanOrEqualTo(1L << bits);
            assertThat(machine.load(device.configGpa(), 4)).isEqualTo(0x11e9_1234L);
            assertThat(device.mappingFailure()).isEmpty();
        }
    }

    @Test
    void ramThatReachesIntoTheWindowIsRefused() {
        SoftwareOptions few = SoftwareOptions.DEFAULT.withPhysicalAddressBits(36);

        assertErrno(Errno.EINVAL, () -> new PciMachine((1L << 35) + 4096, few).close());
    }

    /// A slot there would be refused, too.
    @Test
    void aBarThatTheGuestPutsBeyondItsAddressesFailsAndNothingElseDoes() {
        SoftwareOptions few = SoftwareOptions.DEFAULT.withPhysicalAddressBits(39);
        try (PciMachine machine = new PciMachine(PciMachine.RAM_BYTES, few)) {
            AttachedDevice device = machine.attach();

            machine.store(device.configGpa() + 0x10, 8, 1L << 45);

            assertThat(device.mappingFailure())
                    .hasValueSatisfying(
                            failure -> assertThat(failure.errno()).isEqualTo(Errno.EINVAL));
        }
    }
}
