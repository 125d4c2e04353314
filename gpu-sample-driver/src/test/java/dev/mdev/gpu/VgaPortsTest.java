package dev.mdev.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;

/// The palette and the attribute port as real cards and QEMU's VGA have them.
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
        VgaPorts other = savedAndRestored();
        other.store(VgaPorts.DAC_DATA, 0x23, 0xFF);
        assertThat(other.rgb(3, true)).isEqualTo(0x21_2223);
    }

    private VgaPorts savedAndRestored() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        ports.save(new DataOutputStream(bytes));
        VgaPorts other = new VgaPorts();
        other.restore(new DataInputStream(new ByteArrayInputStream(bytes.toByteArray())));
        return other;
    }

    @Test
    void theAttributePortTakesAnIndexAndItsDataInTurn() {
        store(VgaPorts.ATTRIBUTE_WRITE, 5);
        assertThat(ports.isScreenOn()).as("an index").isFalse();
        store(VgaPorts.ATTRIBUTE_WRITE, VgaPorts.SCREEN_ON);
        assertThat(ports.isScreenOn()).as("data").isFalse();
        store(VgaPorts.ATTRIBUTE_WRITE, VgaPorts.SCREEN_ON);
        assertThat(ports.isScreenOn()).as("the next index").isTrue();
    }

    @Test
    void aLoadOfTheStatusMakesTheNextStoreAnIndex() {
        store(VgaPorts.MISC_WRITE, 1);
        store(VgaPorts.ATTRIBUTE_WRITE, 5);
        var _ = ports.load(VgaPorts.INPUT_STATUS_1);
        store(VgaPorts.ATTRIBUTE_WRITE, VgaPorts.SCREEN_ON);
        assertThat(ports.isScreenOn()).isTrue();

        store(VgaPorts.MISC_WRITE, 0);
        assertThat(ports.load(VgaPorts.INPUT_STATUS_1)).as("elsewhere now").isEqualTo(0xFF);
        store(VgaPorts.ATTRIBUTE_WRITE, 5);
        assertThat(ports.isScreenOn()).as("data").isTrue();
    }

    @Test
    void whatTheAttributePortTakesNextIsSavedWithTheRest() throws IOException {
        store(VgaPorts.ATTRIBUTE_WRITE, VgaPorts.SCREEN_ON | 5);
        VgaPorts other = savedAndRestored();
        other.store(VgaPorts.ATTRIBUTE_WRITE, 0, 0xFF);
        assertThat(other.isScreenOn()).as("data").isTrue();
        other.store(VgaPorts.ATTRIBUTE_WRITE, 0, 0xFF);
        assertThat(other.isScreenOn()).as("the next index").isFalse();
    }
}
