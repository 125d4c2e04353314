package dev.mdev.core.pci;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/// MSI and MSI-X between a driver that fires and a guest that masks.
class MessageVectorsTest {
    private static final int MSI_CONTROL = PciFixture.MSI + 2;
    private static final int MSI_MASK = PciFixture.MSI + 16;
    private static final int MSI_PENDING = PciFixture.MSI + 20;
    private static final int MSIX_CONTROL = PciFixture.MSIX + 2;
    private static final int MSIX_ENABLE = 1 << 15;
    private static final int FUNCTION_MASK = 1 << 14;

    private final PciFixture pci = new PciFixture();

    @Test
    void withNeitherEnabledNothingHappensAndNothingIsKept() {
        pci.enableBusMaster();
        pci.function.set().trigger(0);

        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        unmask(0);

        assertThat(pci.interrupts).isEmpty();
    }

    @Test
    void anMsixVectorSendsItsEntrysMessage() {
        pci.enableBusMaster();
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        pci.table().writeTable(16 * 3, 8, 0x1_fee0_1000L);
        pci.table().writeTable(16 * 3 + 8, 8, 0x4041);

        pci.function.set().trigger(3);

        assertThat(pci.interrupts)
                .containsExactly(new Interrupt.Message(true, 3, 0x1_fee0_1000L, 0x4041));
    }

    @Test
    void aMaskedVectorIsPendingUntilItIsUnmasked() {
        pci.enableBusMaster();
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);

        pci.function.set().trigger(5);
        pci.function.set().trigger(5);
        assertThat(pci.interrupts).isEmpty();
        assertThat(pci.table().readPending(0, 8)).isEqualTo(1 << 5);
        unmask(5);

        assertThat(pci.interrupts).hasSize(1);
        assertThat(pci.table().readPending(0, 8)).isZero();
    }

    @Test
    void theFunctionMaskHoldsAllVectorsBack() {
        pci.enableBusMaster();
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE | FUNCTION_MASK);
        unmask(1);
        unmask(2);
        pci.function.set().trigger(1);
        pci.function.set().trigger(2);
        pci.function.set().trigger(3);
        assertThat(pci.table().readPending(0, 1)).isEqualTo(0b1110);

        pci.write(MSIX_CONTROL + 1, 1, MSIX_ENABLE >> 8);

        assertThat(pci.interrupts).hasSize(2);
        assertThat(pci.table().readPending(0, 1)).isEqualTo(0b1000);
    }

    @Test
    void messagesAreWritesToMemoryAndWaitForTheBusMasterBit() {
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        unmask(0);
        pci.function.set().trigger(0);
        assertThat(pci.interrupts).isEmpty();

        pci.enableBusMaster();

        assertThat(pci.interrupts).hasSize(1);
    }

    @Test
    void theTableTakesEveryWidthAndKeepsReservedBitsZero() {
        for (int i = 0; i < 32; i++) {
            pci.table().writeTable(i, 1, 0xff);
        }
        assertThat(pci.table().readTable(0, 8)).isEqualTo(~3L);
        assertThat(pci.table().readTable(8, 8)).isEqualTo(0x1_ffff_ffffL);
        pci.table().writeTable(13, 8, 0);
        assertThat(pci.table().readTable(12, 8)).isEqualTo(1);
        assertThat(pci.table().readTable(16, 8)).isEqualTo(0xffff_ff00_0000_0000L);
        assertThat(pci.table().readTable(7 * 16 + 15, 1)).isZero();
    }

    @Test
    void anAccessAcrossTwoEntriesUnmasksBoth() {
        pci.enableBusMaster();
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        pci.function.set().trigger(0);
        pci.function.set().trigger(1);
        pci.table().writeTable(12, 8, 0);
        assertThat(pci.interrupts).hasSize(1);
        pci.table().writeTable(16 + 11, 8, 0);
        assertThat(pci.interrupts).hasSize(2);
    }

    @Test
    void msiVectorsShareAnAddressAndDifferInTheLowBitsOfTheData() {
        pci.enableBusMaster();
        pci.write(PciFixture.MSI + 4, 8, 0xfee0_0000L);
        pci.write(PciFixture.MSI + 12, 2, 0x41);
        pci.write(MSI_CONTROL, 2, 2 << 4 | 1);

        pci.function.set().trigger(0);
        pci.function.set().trigger(3);

        assertThat(pci.interrupts)
                .containsExactly(
                        new Interrupt.Message(false, 0, 0xfee0_0000L, 0x40),
                        new Interrupt.Message(false, 3, 0xfee0_0000L, 0x43));
    }

    @Test
    void withFewerMsiVectorsEnabledTheVectorsShareThem() {
        pci.enableBusMaster();
        pci.write(MSI_CONTROL, 2, 1 << 4 | 1);

        pci.function.set().trigger(3);

        assertThat(pci.interrupts).containsExactly(new Interrupt.Message(false, 1, 0, 1));
    }

    @Test
    void aMaskedMsiVectorShowsInItsPendingBits() {
        pci.enableBusMaster();
        pci.write(MSI_MASK, 4, 0b1010);
        pci.write(MSI_CONTROL, 2, 2 << 4 | 1);
        pci.function.set().trigger(1);
        pci.function.set().trigger(3);
        pci.function.set().trigger(0);
        assertThat(pci.interrupts).hasSize(1);
        assertThat(pci.read(MSI_PENDING, 4)).isEqualTo(0b1010);

        pci.write(MSI_MASK, 1, 0b1000);

        assertThat(pci.interrupts).hasSize(2);
        assertThat(pci.read(MSI_PENDING, 4)).isEqualTo(0b1000);
        pci.write(MSI_PENDING, 4, 0);
        assertThat(pci.read(MSI_PENDING, 4)).isEqualTo(0b1000);
    }

    @Test
    void withMessagesEnabledTheLineIsQuietAndComesBackWhenTheyAreDisabled() {
        pci.enableBusMaster();
        pci.write(MSI_CONTROL, 2, 1);
        pci.function.set().setLine(true);
        assertThat(pci.interrupts).isEmpty();

        pci.write(MSI_CONTROL, 2, 0);

        assertThat(pci.interrupts).containsExactly(new Interrupt.Line());
    }

    @Test
    void withBothEnabledTheFunctionUsesMsix() {
        pci.enableBusMaster();
        pci.write(MSI_CONTROL, 2, 1);
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        unmask(0);
        pci.function.set().trigger(0);
        pci.write(MSIX_CONTROL, 2, 0);
        pci.function.set().trigger(0);

        assertThat(pci.interrupts)
                .containsExactly(
                        new Interrupt.Message(true, 0, 0, 0),
                        new Interrupt.Message(false, 0, 0, 0));
    }

    @Test
    void resetMasksEveryVectorAndForgetsWhatWasPending() {
        pci.enableBusMaster();
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        pci.table().writeTable(0, 8, 0x1000);
        pci.function.set().trigger(4);

        pci.config.reset();

        assertThat(pci.table().readPending(0, 8)).isZero();
        assertThat(pci.table().readTable(0, 8)).isZero();
        assertThat(pci.table().readTable(8, 8)).isEqualTo(1L << 32);
        pci.function.set().trigger(4);
        pci.enableBusMaster();
        pci.write(MSIX_CONTROL, 2, MSIX_ENABLE);
        unmask(4);
        assertThat(pci.interrupts).isEmpty();
    }

    private void unmask(int vector) {
        pci.table().writeTable(16 * vector + 12, 4, 0);
    }
}
