package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Machines with system management mode, over REST.
class SmmTest extends HostTest {
    private static final String MACHINES = "/api/v1/machines";

    private Answer create(String smm) {
        return api.post(MACHINES, "{\"name\":\"vm1\",\"ramMib\":4,\"smm\":%s}".formatted(smm));
    }

    private Answer run(String steps) {
        return api.post(MACHINES + "/vm1/vcpus/0/programs", "{\"steps\":[%s]}".formatted(steps));
    }

    private static String read(String gpa) {
        return "{\"op\":\"read\",\"at\":{\"gpa\":\"%s\"}}".formatted(gpa);
    }

    @Test
    void aProgramFindsOtherMemoryInside() {
        assertThat(create("true").at("/smm")).isEqualTo("address-space");

        Answer result =
                run(
                        "{\"op\":\"smi\"},{\"op\":\"write\",\"at\":{\"gpa\":\"0xa0000\"},\"value\":7},"
                                + read("0xa0000")
                                + ",{\"op\":\"rsm\"},"
                                + read("0xa0000"));

        assertThat(result.at("/end")).isEqualTo("completed");
        assertThat(result.at("/steps/0/op")).isEqualTo("smi");
        assertThat(result.numberAt("/steps/0/completed")).isEqualTo(1);
        assertThat(result.at("/steps/2/values/0")).isEqualTo("0x7");
        assertThat(result.numberAt("/steps/2/addressSpace")).isEqualTo(1);
        assertThat(result.at("/steps/2/inSmm")).isEqualTo("true");
        assertThat(result.at("/steps/4/values/0")).isEqualTo("0xffffffffffffffff");
        assertThat(result.numberAt("/steps/4/addressSpace")).isZero();
        assertThat(result.numberAt("/steps/4/unassigned")).isEqualTo(1);
        assertThat(api.get(MACHINES + "/vm1").at("/vcpus/0/inSmm")).isEqualTo("false");
        assertThat(run("{\"op\":\"smi\"}").at("/end")).isEqualTo("completed");
        assertThat(api.get(MACHINES + "/vm1").at("/vcpus/0/inSmm")).isEqualTo("true");
    }

    @Test
    void theFormerDesignHasOneAddressSpace() {
        assertThat(create("\"slot-flag\"").at("/smm")).isEqualTo("slot-flag");
        Answer result = run("{\"op\":\"smi\"}," + read("0xa0000"));
        assertThat(result.at("/steps/1/inSmm")).isEqualTo("true");
        assertThat(result.numberAt("/steps/1/addressSpace")).isZero();
        assertThat(result.numberAt("/steps/1/unassigned")).isZero();
    }

    @ParameterizedTest
    @ValueSource(strings = {"\"on\"", "\"ADDRESS_SPACE\"", "1", "[]", "\"\""})
    void anUnknownModeIsAProblem(String smm) {
        assertThat(create(smm).status()).isBetween(400, 422);
        assertThat(api.get(MACHINES).body().at("/items")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"false", "\"off\"", "null"})
    void aMachineWithoutTheModeHasNoSuchSteps(String smm) {
        assertThat(create(smm).at("/name")).isEqualTo("vm1");
        Answer result = run(read("0x0") + ",{\"op\":\"smi\"}");
        assertThat(result.status()).isEqualTo(422);
        assertThat(result.at("/violations/0/pointer")).isEqualTo("/steps/1/op");
        assertThat(run(read("0x0")).body().toString())
                .doesNotContain("addressSpace")
                .doesNotContain("inSmm");
    }

    @Test
    void aMachineThatCannotHaveTheModeIsNotMade() {
        Answer tooSmall = api.post(MACHINES, "{\"name\":\"vm1\",\"ramMib\":1,\"smm\":true}");
        assertThat(tooSmall.status()).isEqualTo(422);
        Answer external =
                api.post(MACHINES, "{\"name\":\"vm1\",\"kind\":\"external\",\"smm\":true}");
        assertThat(external.status()).isEqualTo(422);
        assertThat(api.get(MACHINES).body().at("/items")).isEmpty();
    }

    @Test
    void aMachineThatDiesLeavesItsName() {
        create("true");
        // Without SMRAM the state has no place.
        String smram =
                "{\"op\":\"write\",\"width\":1,\"at\":{\"gpa\":\"0x1fffff0009d\"},\"value\":2}";
        assertThat(run(smram + ",{\"op\":\"smi\"}").status()).isEqualTo(502);
        assertThat(run(read("0x0")).status()).isEqualTo(502);
        assertThat(api.delete(MACHINES + "/vm1").status()).isEqualTo(204);
        assertThat(create("true").at("/name")).isEqualTo("vm1");
    }
}
