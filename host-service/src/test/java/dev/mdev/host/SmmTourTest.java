package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.springframework.test.context.TestPropertySource;

import java.util.UUID;

/// The tour on a machine with system management mode and a dirty log: a display's memory outside,
/// SMRAM inside, each with its own dirty pages, and faults as everywhere.
@TestPropertySource(properties = "mdev.drivers.gpu-sample.vga=true")
class SmmTourTest extends HostTest {
    private static final String LOG = "/api/v1/machines/vm1/dirty-log";
    private static final String VGA = "0xa0000";

    private static final String TOUR =
            """
            {"steps":[
             {"op":"write","at":{"mdev":"%1$s","bar":0,"offset":"0x100000"},"count":64,
              "stride":4096,"value":"0xcafe0000","step":1},
             {"op":"write","at":{"gpa":"%2$s"},"value":"0x1111"},
             {"op":"smi"},
             {"op":"check","at":{"mdev":"%1$s","bar":0,"offset":"0x100000"},"count":64,
              "stride":4096,"value":"0xcafe0000","step":1},
             {"op":"write","at":{"gpa":"%2$s"},"value":"0x5353"},
             {"op":"read","at":{"gpa":"%2$s"}},
             {"op":"rsm"},
             {"op":"read","at":{"gpa":"%2$s"}}]}\
            """;

    @Test
    void theDisplayIsOutsideSmramIsInsideAndEachHasItsDirtyPages() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.post(
                        "/api/v1/machines",
                        "{\"name\":\"vm1\",\"ramMib\":16,\"vcpus\":1,\"smm\":\"address-space\"}")
                .requireStatus(201);
        api.put("/api/v1/machines/vm1/devices/" + mdev, "").requireStatus(201);
        api.put(LOG, "{\"mode\":\"bitmap\"}").requireStatus(200);

        Answer ran = api.run("vm1", TOUR.formatted(mdev, VGA)).requireStatus(200);

        assertThat(ran.at("/end")).as(ran.text()).isEqualTo("completed");
        assertThat(ran.numberAt("/steps/0/completed")).isEqualTo(64);
        assertThat(ran.numberAt("/steps/3/mismatches")).isZero();
        assertThat(ran.numberAt("/steps/3/addressSpace")).isEqualTo(1);
        assertThat(ran.at("/steps/5/values/0")).isEqualTo("0x5353");
        assertThat(ran.at("/steps/7/values/0")).isEqualTo("0x1111");
        // 64 pages of BAR 0, and the page at 0xa0000.
        assertThat(ran.numberAt("/devices/0/faults")).isEqualTo(65);
        requireDirty();

        // Afterwards: under two-dimensional paging, a load marks the page as well.
        Answer read =
                api.run(
                                "vm1",
                                """
                                {"steps":[{"op":"read","at":{"mdev":"%s","bar":0}}]}\
                                """
                                        .formatted(mdev))
                        .requireStatus(200);
        assertThat(read.at("/steps/0/values/0")).as("the same page of VRAM").isEqualTo("0x1111");
        assertThat(read.numberAt("/devices/0/faults")).as("of its other region").isEqualTo(1);
    }

    private void requireDirty() {
        Answer bySlot = api.get(LOG).requireStatus(200);
        assertThat(bySlot.text()).contains("\"addressSpace\":1");
        // By memory, a page counts once: 64 of the BAR, one behind 0xa0000, and in SMRAM the page
        // of the store and the one with the saved registers.
        Answer byMemory = api.get(LOG + "?by=memory").requireStatus(200);
        assertThat(byMemory.numberAt("/dirty")).as(byMemory.text()).isEqualTo(67);
        api.post(LOG + "/clear", "").requireStatus(200);
        assertThat(api.get(LOG).numberAt("/dirty")).isZero();
    }

    @Test
    void aRevocationFaultsAgainInBothModes() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.post(
                        "/api/v1/machines",
                        "{\"name\":\"vm1\",\"ramMib\":16,\"vcpus\":1,\"smm\":\"address-space\"}")
                .requireStatus(201);
        api.put("/api/v1/machines/vm1/devices/" + mdev, "").requireStatus(201);
        api.run("vm1", TOUR.formatted(mdev, VGA)).requireStatus(200);
        Answer revoked = api.post("/api/v1/mdevs/%s/revoke".formatted(mdev), "");
        assertThat(revoked.numberAt("/residentBefore")).isEqualTo(65);
        assertThat(revoked.numberAt("/residentAfter")).isZero();

        Answer again = api.run("vm1", TOUR.formatted(mdev, VGA)).requireStatus(200);
        assertThat(again.numberAt("/devices/0/faults")).as(again.text()).isEqualTo(65);
        assertThat(again.numberAt("/steps/3/mismatches")).isZero();
    }
}
