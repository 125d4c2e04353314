package dev.mdev.core.pci;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.PciOptions;

import org.junit.jupiter.api.Test;

import java.util.ArrayList;
import java.util.List;

class PciConfigSpaceTest {
    private final PciFixture pci = new PciFixture();

    @Test
    void theHeaderSaysWhatTheDriverSaid() {
        assertThat(pci.read(0x00, 4)).isEqualTo(0x11e9_1234L);
        assertThat(pci.read(0x04, 4)).isEqualTo(0x0010_0000L);
        assertThat(pci.read(0x08, 4)).isEqualTo(0x0380_0002L);
        assertThat(pci.read(0x0c, 4)).isZero();
        assertThat(pci.read(0x2c, 4)).isEqualTo(0x1100_1af4L);
        assertThat(pci.read(0x34, 4)).isEqualTo(0x40);
        assertThat(pci.read(0x3c, 4)).isEqualTo(0x0100);
    }

    @Test
    void theCapabilityListLeadsThroughAllOfThem() {
        List<Integer> ids = new ArrayList<>();
        List<Integer> places = new ArrayList<>();
        for (int at = (int) pci.read(0x34, 1); at != 0; at = (int) pci.read(at + 1, 1)) {
            ids.add((int) pci.read(at, 1));
            places.add(at);
        }

        assertThat(ids).containsExactly(0x01, 0x05, 0x11, 0x13, 0x09);
        assertThat(places)
                .containsExactly(
                        PciFixture.PM,
                        PciFixture.MSI,
                        PciFixture.MSIX,
                        PciFixture.RESET,
                        PciFixture.VENDOR);
        assertThat(pci.config.capability(0x11)).isEqualTo(PciFixture.MSIX);
        assertThat(pci.config.capability(0x10)).isZero();
        assertThat(pci.read(PciFixture.VENDOR, 8) & 0xff_ffff_ffffL).isEqualTo(0xad_de05_0009L);
    }

    @Test
    void barsAreSizedByWritingOnes() {
        pci.write(0x10, 8, -1);
        pci.write(0x18, 4, -1);
        pci.write(0x1c, 4, -1);
        pci.write(0x30, 4, 0xffff_f800L);

        assertThat(pci.read(0x10, 8)).isEqualTo(0xffff_ffff_ffff_000cL);
        assertThat(pci.read(0x18, 8)).isEqualTo(0xffff_ffff_ffff_ff04L);
        assertThat(pci.read(0x30, 4)).isEqualTo(0xffff_f000L);
        assertThat(pci.read(0x28, 4)).isZero();
    }

    @Test
    void barsAreWrittenByteByByte() {
        for (int i = 0; i < 8; i++) {
            pci.write(0x10 + i, 1, 0x11L * (i + 1));
        }

        assertThat(pci.read(0x10, 8)).isEqualTo(0x8877_6655_4433_000cL);
        pci.write(0x11, 4, 0xaabb_ccddL);
        assertThat(pci.read(0x10, 8)).isEqualTo((0x8877_66aa_bbcc_000cL & -0x1_0000L) | 0xc);
    }

    @Test
    void aWindowNeedsMemoryDecodingAndTheRomItsOwnBitToo() {
        pci.write(0x10, 8, 0x12_3456_7890L);
        pci.write(0x30, 4, 0xf000_0000L);
        assertThat(pci.config.windows()).isEmpty();
        assertThat(pci.write(4, 1, 2).windowsChanged()).isTrue();
        assertThat(pci.config.windows())
                .containsExactly(new BarWindow(0, 0x12_3456_0000L, 1 << 16));
        assertThat(pci.write(0x30, 1, 1).windowsChanged()).isTrue();
        assertThat(pci.config.windows())
                .hasSize(2)
                .last()
                .isEqualTo(new BarWindow(6, 0xf000_0000L, 4096));
        assertThat(pci.write(4, 1, 2).windowsChanged()).isFalse();
        assertThat(pci.write(5, 1, 4).windowsChanged()).isFalse();
        assertThat(pci.write(4, 2, 0).windowsChanged()).isTrue();
        assertThat(pci.config.windows()).isEmpty();
    }

    @Test
    void whatIsReadOnlyStaysAsItIs() {
        String before = pci.config.dump("00:00.0");
        for (int at : new int[] {0, 1, 2, 3, 8, 9, 10, 11, 13, 14, 15, 0x2c, 0x34, 0x3d, 0x3e}) {
            pci.write(at, 1, 0xff);
            pci.write(at, 1, 0);
        }
        pci.write(PciFixture.PM, 4, -1);
        pci.write(PciFixture.MSIX + 4, 8, -1);
        pci.write(PciFixture.VENDOR, 8, -1);

        assertThat(pci.config.dump("00:00.0")).isEqualTo(before);
    }

    @Test
    void statusErrorsAreClearedByWritingOnesAndOnlyThose() {
        pci.config.raiseStatus(0x2000 | 0x1000);
        assertThat(pci.read(6, 2)).isEqualTo(0x3010);

        pci.write(6, 2, 0x1fff);
        assertThat(pci.read(6, 2)).isEqualTo(0x2010);
        pci.write(4, 4, 0);
        assertThat(pci.read(6, 2)).isEqualTo(0x2010);
        pci.write(7, 1, 0x20);
        assertThat(pci.read(6, 2)).isEqualTo(0x0010);
    }

    @Test
    void theInterruptStatusFollowsTheLineEvenIfItIsDisabled() {
        pci.write(4, 2, 1 << 10);
        pci.function.set().setLine(true);
        assertThat(pci.read(6, 2)).isEqualTo(0x18);
        pci.write(6, 2, 0xffff);
        assertThat(pci.read(6, 1)).isEqualTo(0x18);
        pci.function.set().setLine(false);
        assertThat(pci.read(6, 2)).isEqualTo(0x10);
    }

    @Test
    void leavingFullPowerHidesBarsAndStopsTheMasterAndComingBackResets() {
        pci.write(0x10, 8, 1L << 32);
        pci.enableBusMaster();
        assertThat(pci.config.isBusMaster()).isTrue();

        assertThat(pci.write(PciFixture.PM + 4, 2, 3))
                .isEqualTo(new PciConfigSpace.Written(true, false));
        assertThat(pci.config.windows()).isEmpty();
        assertThat(pci.config.isBusMaster()).isFalse();
        assertThat(pci.read(4, 2)).isEqualTo(6);

        assertThat(pci.write(PciFixture.PM + 4, 2, 0).resetRequested()).isTrue();
        pci.config.reset();
        assertThat(pci.read(4, 2)).isZero();
        assertThat(pci.read(0x10, 8)).isEqualTo(0xc);
        assertThat(pci.config.windows()).isEmpty();
    }

    @Test
    void powerStatesThatAreNotThereAreNotEntered() {
        pci.enableBusMaster();
        for (int state : new int[] {1, 2}) {
            assertThat(pci.write(PciFixture.PM + 4, 1, state).resetRequested()).isFalse();
            assertThat(pci.read(PciFixture.PM + 4, 2)).isZero();
            assertThat(pci.config.isBusMaster()).isTrue();
        }
        pci.write(PciFixture.PM + 4, 1, 3);
        pci.write(PciFixture.PM + 4, 1, 2);
        assertThat(pci.read(PciFixture.PM + 4, 2)).isEqualTo(3);
    }

    @Test
    void functionLevelResetIsAskedForAndTheBitReadsAsZero() {
        assertThat(pci.write(PciFixture.RESET + 4, 1, 1).resetRequested()).isTrue();
        assertThat(pci.read(PciFixture.RESET + 4, 1)).isZero();
        assertThat(pci.write(PciFixture.RESET + 4, 1, 0xfe).resetRequested()).isFalse();

        PciFixture express = new PciFixture(PciOptions.EXPRESS);
        int at = express.config.capability(0x10);
        assertThat(express.write(at + 8, 2, 0xa810).resetRequested()).isTrue();
        assertThat(express.read(at + 8, 2)).isEqualTo(0x2810);
    }

    @Test
    void anExpressFunctionHas4096BytesAndNoExtendedCapability() {
        PciFixture express = new PciFixture(PciOptions.EXPRESS);

        assertThat(express.config.sizeBytes()).isEqualTo(4096);
        assertThat(express.read(0x100, 4)).isZero();
        assertThat(express.read(4092, 8)).isEqualTo(0xffff_ffff_0000_0000L);
        assertThat(pci.config.sizeBytes()).isEqualTo(256);
        assertThat(pci.read(0x100, 4)).isEqualTo(0xffff_ffffL);
    }

    @Test
    void accessesOutsideAreServedAsFarAsTheyAreInside() {
        for (int at : new int[] {-8, -1, 256, 4096, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            pci.write(at, 8, 0);
            assertThat(pci.read(at, 1)).as("%d", at).isEqualTo(0xff);
        }
        assertThat(pci.read(-2, 4)).isEqualTo(0x1234_ffffL);
        assertThat(pci.read(Integer.MAX_VALUE - 1, 8)).isEqualTo(-1);
    }

    @Test
    void allEnabledMsiVectorsAreAtMostThoseThereAre() {
        pci.write(PciFixture.MSI + 2, 2, 5 << 4);
        assertThat(pci.read(PciFixture.MSI + 2, 2)).isEqualTo(0x184 | 5 << 4);
        pci.write(PciFixture.MSI + 2, 1, 5 << 4 | 1);
        assertThat(pci.read(PciFixture.MSI + 2, 2)).isEqualTo(0x184 | 2 << 4 | 1);
    }
}
