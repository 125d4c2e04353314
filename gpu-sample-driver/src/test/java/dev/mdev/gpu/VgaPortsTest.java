package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/// The palette as real cards and QEMU's VGA have it.
final class VgaPortsTest {
    private final VgaPorts ports = new VgaPorts();

    private void store(int port, int... values) {
        for (int value : values) {
            ports.store(port, value, 0xFF);
        }
    }

    @Test
    void anEntryChangesWithItsThirdByte() {
        store(VgaPorts.DAC_WRITE_INDEX, 7);
        store(VgaPorts.DAC_DATA, 0x11, 0x22);
        assertThat(ports.rgb(7, true)).isZero();
        store(VgaPorts.DAC_DATA, 0x33);
        assertThat(ports.rgb(7, true)).isEqualTo(0x11_2233);
        store(VgaPorts.DAC_DATA, 4, 5, 6);
        assertThat(ports.rgb(8, true)).as("the index went on").isEqualTo(0x04_0506);
    }

    @Test
    void anIndexDropsAPartOfAnEntry() {
        store(VgaPorts.DAC_WRITE_INDEX, 7);
        store(VgaPorts.DAC_DATA, 0x11, 0x22);
        store(VgaPorts.DAC_WRITE_INDEX, 9);
        store(VgaPorts.DAC_DATA, 1, 2, 3);
        assertThat(ports.rgb(7, true)).isZero();
        assertThat(ports.rgb(9, true)).isEqualTo(0x01_0203);

        store(VgaPorts.DAC_DATA, 0x44, 0x55);
        store(VgaPorts.DAC_READ_INDEX, 9);
        assertThat(ports.load(VgaPorts.DAC_DATA)).isEqualTo(1);
        assertThat(ports.rgb(10, true)).as("reading dropped it").isZero();
    }

    @Test
    void readingGoesOnFromEntryToEntryAndAroundTheEnd() {
        store(VgaPorts.DAC_WRITE_INDEX, 255);
        store(VgaPorts.DAC_DATA, 1, 2, 3, 4, 5, 6);
        assertThat(ports.rgb(0, true)).isEqualTo(0x04_0506);
        store(VgaPorts.DAC_READ_INDEX, 255);
        for (int expected = 1; expected <= 6; expected++) {
            assertThat(ports.load(VgaPorts.DAC_DATA)).isEqualTo(expected);
        }
        assertThat(ports.load(VgaPorts.DAC_WRITE_INDEX)).isEqualTo(1);
    }

    @Test
    void aPartOfAnEntryIsSavedWithTheRest() throws IOException {
        store(VgaPorts.DAC_WRITE_INDEX, 3);
        store(VgaPorts.DAC_DATA, 0x21, 0x22);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ports.save(new DataOutputStream(bytes));
        VgaPorts other = new VgaPorts();
        other.restore(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
        other.store(VgaPorts.DAC_DATA, 0x23, 0xFF);
        assertThat(other.rgb(3, true)).isEqualTo(0x21_2223);
    }
}
