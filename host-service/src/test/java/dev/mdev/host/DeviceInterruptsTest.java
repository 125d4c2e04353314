package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// A guest that finds its device's configuration space at the address that it is told, and sets
/// MSI-X up there: what that comes to is to be seen.
class DeviceInterruptsTest extends HostTest {
    private static final int MSIX_ID = 0x11;
    private static final int QUEUE_BAR = 4;
    private static final int REGISTERS = 0x1000;
    private static final int MSIX_TABLE = 0x1800;

    @Test
    void vectorsMasksAndCountsAreThoseOfTheGuest() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        Answer machine = api.get("/api/v1/machines/vm1").requireStatus(200);
        long config = Long.decode(machine.at("/devices/0/configGpa"));
        assertThat(machine.at("/devices/0/address")).isEqualTo("00:01.0");
        assertThat(config - Long.decode(machine.at("/ecamGpa"))).isEqualTo(0x8000);
        assertThat(load(config, 4)).as("vendor and device").isEqualTo(0x1111_1234L);

        Answer before = interrupts(mdev).requireStatus(200);
        assertThat(before.body().has("enabled")).isFalse();
        assertThat(before.body().at("/vectors/0/masked").asBoolean()).isTrue();
        assertThat(before.numberAt("/vectors/0/count")).isZero();

        int capability = (int) load(config + 0x34, 1);
        while (load(config + capability, 1) != MSIX_ID) {
            capability = (int) load(config + capability + 1, 1);
            assertThat(capability).as("the end of the list").isNotZero();
        }
        store(mdev, MSIX_TABLE, 8, "0xfee00000");
        store(mdev, MSIX_TABLE + 8, 8, "0x41");
        storeAt("\"gpa\":\"0x%x\"".formatted(config + capability + 2), 2, "0x8000");
        // A queue that is started without a ring stops with an error, and says so.
        store(mdev, REGISTERS + 0x2C, 4, "3");
        store(mdev, REGISTERS, 4, "1");

        Answer after = interrupts(mdev).requireStatus(200);
        assertThat(after.at("/enabled")).isEqualTo("msix");
        assertThat(after.body().at("/vectors/0/masked").asBoolean()).isFalse();
        assertThat(after.body().at("/vectors/0/pending").asBoolean()).isFalse();
        assertThat(after.numberAt("/vectors/0/count")).isEqualTo(1);
        assertThat(Long.decode(after.at("/vectors/0/gpa"))).isEqualTo(0xfee0_0000L);
        assertThat(Long.decode(after.at("/vectors/0/data"))).isEqualTo(0x41);
    }

    @Test
    void aDeviceThatTheMachineDoesNotHaveIsNamed() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        UUID other = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);

        assertThat(interrupts(other).requireStatus(404).body().toString())
                .contains(other.toString());
    }

    private Answer interrupts(UUID mdev) {
        return api.get("/api/v1/machines/vm1/devices/%s/interrupts".formatted(mdev));
    }

    private long load(long gpa, int width) {
        Answer answer =
                api.run(
                        "vm1",
                        "{\"steps\":[{\"op\":\"read\",\"at\":{\"gpa\":\"0x%x\"},\"width\":%d}]}"
                                .formatted(gpa, width));
        return Long.decode(answer.requireStatus(200).at("/steps/0/values/0"));
    }

    private void store(UUID mdev, int offset, int width, String value) {
        storeAt(
                "\"mdev\":\"%s\",\"bar\":%d,\"offset\":%d".formatted(mdev, QUEUE_BAR, offset),
                width,
                value);
    }

    private void storeAt(String at, int width, String value) {
        Answer answer =
                api.run(
                        "vm1",
                        "{\"steps\":[{\"op\":\"write\",\"at\":{%s},\"width\":%d,\"value\":\"%s\"}]}"
                                .formatted(at, width, value));
        assertThat(answer.requireStatus(200).at("/end")).isEqualTo("completed");
    }
}
