package dev.mdev.api.register;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

final class RegisterFileTest {
    private final RegisterFile file =
            new RegisterFile()
                    .constant(0x00, 4, 0xC0FFEE)
                    .readOnly(0x04, 2, 7)
                    .plain(0x08, 8, 0xFFFF_FFFF_0000_00FFL)
                    .status(0x10, 4, 0x3);

    @Test
    void guestsChangeOnlyWhatTheyMay() {
        for (int offset = 0; offset < 0x18; offset += 8) {
            file.write(offset, 8, -1);
        }
        assertThat(file.read(0x00, 4)).isEqualTo(0xC0FFEE);
        assertThat(file.read(0x04, 4)).isEqualTo(7);
        assertThat(file.read(0x08, 8)).isEqualTo(0xFFFF_FFFF_0000_00FFL);
        assertThat(file.read(0x10, 8)).isZero();
        file.write(0x0B, 2, 0x1234);
        assertThat(file.read(0x08, 8)).isEqualTo(0xFFFF_FF12_0000_00FFL);
    }

    @Test
    void statusBitsAreClearedByOnes() {
        file.set(0x10, 0x7);
        file.write(0x10, 1, 0x2);
        assertThat(file.get(0x10)).isEqualTo(0x5);
        file.write(0x10, 4, -1);
        assertThat(file.get(0x10)).as("a bit that guests may not clear").isEqualTo(0x4);
    }

    @Test
    void theDeviceSetsWhatFitsTheRegister() {
        file.set(0x04, 0x1_FFFF);
        assertThat(file.read(0x04, 4)).isEqualTo(0xFFFF);
        assertThatThrownBy(() -> file.set(0x05, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void registersDoNotOverlap() {
        assertThatThrownBy(() -> file.plain(0x06, 1, -1).plain(0x04, 4, -1))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> file.plain(0x0C, 4, -1))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> file.plain(0x21, 2, -1))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void aHookIsCalledAfterEachStoreByAGuest() {
        List<String> calls = new ArrayList<>();
        file.afterStore(0x08, (value, stored) -> calls.add("plain %x %x".formatted(value, stored)))
                .afterStore(
                        0x04, (value, stored) -> calls.add("own %x %x".formatted(value, stored)));
        file.write(0x08, 1, 0x55);
        file.write(0x08, 1, 0x55);
        file.set(0x08, 1);
        file.reset();
        assertThat(calls).containsExactly("plain 55 55", "plain 55 55");
        calls.clear();
        file.write(0x04, 8, 0x77_0000_0003L);
        assertThat(calls)
                .as("one access to two registers, the first of which guests cannot change")
                .containsExactly("own 7 3", "plain 77 77");
        assertThatThrownBy(() -> file.afterStore(0x08, (value, stored) -> {}))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> file.afterStore(0x30, (value, stored) -> {}))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void whatIsSavedIsRestoredAndNothingThatCannotBe() throws IOException {
        file.set(0x04, 9);
        file.write(0x08, 8, -1);
        file.set(0x10, 1);
        byte[] saved = save();
        assertThat(saved).as("three registers that are no constants").hasSize(24);
        file.reset();
        assertThat(file.get(0x04)).isEqualTo(7);
        assertThat(file.get(0x08)).isZero();
        restore(saved);
        assertThat(save()).isEqualTo(saved);
        byte[] ones = new byte[24];
        Arrays.fill(ones, (byte) -1);
        restore(ones);
        assertThat(file.get(0x04)).isEqualTo(0xFFFF);
        assertThat(file.get(0x08)).isEqualTo(0xFFFF_FFFF_0000_00FFL);
        assertThat(file.get(0x10)).isEqualTo(3);
    }

    private byte[] save() throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        file.save(new DataOutputStream(bytes));
        return bytes.toByteArray();
    }

    private void restore(byte[] bytes) throws IOException {
        file.restore(new DataInputStream(new ByteArrayInputStream(bytes)));
    }

    @Test
    void aComputedRegisterIsAnsweredAtEachLoadAndNotSaved() throws IOException {
        int[] loads = new int[1];
        RegisterFile file = new RegisterFile().computed(0, 2, () -> 0xA_0000 + ++loads[0]);

        assertThat(file.read(0, 2)).isEqualTo(1);
        file.write(0, 2, 0x7777);
        assertThat(file.read(0, 4)).as("within its width").isEqualTo(2);
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        file.save(new DataOutputStream(bytes));
        assertThat(bytes.size()).isZero();
        assertThat(loads[0]).isEqualTo(2);
    }
}
