package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// Lazy mapping, counted: one fault per page at the first access, none afterwards, and again after
/// a revocation.
class TourNumbersTest extends HostTest {
    /// What is looked at of a BAR of 128 MiB.
    private static final int FILLED_BYTES = Integer.getInteger("mdev.tour.mib", 128) << 20;

    private static final String WRITE =
            """
            {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":64,"stride":%d,
             "value":"0xcafe0000","step":1}]}\
            """;
    private static final String CHECK =
            """
            {"steps":[{"op":"check","at":{"mdev":"%s","bar":0},"count":64,"stride":%d,
             "value":"0xcafe0000","step":1}]}\
            """;

    @Test
    void sixtyFourPagesAreSixtyFourFaultsAndAfterARevocationAgain() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.createMachine("vm1", mdev);
        Answer attached = api.get("/api/v1/machines/vm1");
        assertThat(attached.numberAt("/devices/0/bars/0/sizeBytes")).isEqualTo(64L << 20);
        requireFaultsAndResident(mdev, 0, 0);

        // Pages that lie far apart, over the whole BAR.
        int stride = (64 << 20) / 64;
        Answer first = api.run("vm1", WRITE.formatted(mdev, stride)).requireStatus(200);
        assertThat(first.at("/end")).isEqualTo("completed");
        assertThat(first.numberAt("/devices/0/faults")).isEqualTo(64);
        requireFaultsAndResident(mdev, 64, 64);
        requireCallbacks(mdev, 64);

        Answer second = api.run("vm1", WRITE.formatted(mdev, stride)).requireStatus(200);
        assertThat(second.numberAt("/devices/0/faults")).isZero();
        requireFaultsAndResident(mdev, 64, 64);

        Answer revoked = api.post("/api/v1/mdevs/%s/revoke".formatted(mdev), "");
        revoked.requireStatus(200);
        assertThat(revoked.numberAt("/residentBefore")).isEqualTo(64);
        assertThat(revoked.numberAt("/residentAfter")).isZero();
        requireFaultsAndResident(mdev, 64, 0);

        Answer third = api.run("vm1", CHECK.formatted(mdev, stride)).requireStatus(200);
        assertThat(third.numberAt("/steps/0/completed")).isEqualTo(64);
        assertThat(third.numberAt("/steps/0/mismatches")).isZero();
        assertThat(third.numberAt("/devices/0/faults")).isEqualTo(64);
        requireFaultsAndResident(mdev, 128, 64);
        assertThat(api.get("/api/v1/mdevs/%s/faults".formatted(mdev)).at("/recent/0/reason"))
                .isEqualTo("after_revoke");
    }

    @Test
    void aPartOfARegionCanBeRevoked() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-64m");
        api.createMachine("vm1", mdev);
        api.run("vm1", WRITE.formatted(mdev, 4096)).requireStatus(200);

        Answer revoked =
                api.post(
                        "/api/v1/mdevs/%s/revoke".formatted(mdev),
                        "{\"region\":0,\"firstPage\":8,\"pages\":16}");
        assertThat(revoked.numberAt("/residentAfter")).isEqualTo(48);

        Answer again = api.run("vm1", CHECK.formatted(mdev, 4096)).requireStatus(200);
        assertThat(again.numberAt("/devices/0/faults")).isEqualTo(16);
        assertThat(again.numberAt("/steps/0/mismatches")).isZero();
    }

    @Test
    void twoDevicesOfOneParentNeverSeeEachOthersBytesAndAThirdDoesNotFit() {
        UUID red = api.createMdev("gpu0", "gpu-sample-128m");
        UUID blue = api.createMdev("gpu0", "gpu-sample-128m");
        Answer refused =
                api.post("/api/v1/mdevs", "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-128m\"}");
        refused.requireProblem(409, "no-capacity");
        Answer smaller =
                api.post("/api/v1/mdevs", "{\"parent\":\"gpu0\",\"type\":\"gpu-sample-16m\"}");
        smaller.requireProblem(409, "no-capacity");
        assertThat(smaller.at("/detail"))
                .contains("pool=vram needs 4096 pages")
                .contains("0 are free");
        assertThat(smaller.at("/errno")).isEqualTo("EUSERS");

        api.createMachine("red", red);
        api.createMachine("blue", blue);
        fill("red", red, "0x1111111111111111");
        fill("blue", blue, "0x2222222222222222");
        requireAll("red", red, "0x1111111111111111");
        requireAll("blue", blue, "0x2222222222222222");
        api.post("/api/v1/mdevs/%s/revoke".formatted(red), "").requireStatus(200);
        requireAll("red", red, "0x1111111111111111");
        requireAll("blue", blue, "0x2222222222222222");

        // The next tenant of red's pages finds zeroes.
        api.delete("/api/v1/machines/red").requireStatus(204);
        api.delete("/api/v1/mdevs/" + red).requireStatus(204);
        UUID green = api.createMdev("gpu0", "gpu-sample-128m");
        api.createMachine("green", green);
        requireAll("green", green, "0x0");
        requireAll("blue", blue, "0x2222222222222222");
    }

    private void fill(String machine, UUID mdev, String value) {
        Answer filled =
                api.run(
                                machine,
                                """
                                {"steps":[{"op":"fill","at":{"mdev":"%s","bar":0},"bytes":%d,"value":"%s"}],
                                 "deadlineMillis":600000}\
                                """
                                        .formatted(mdev, FILLED_BYTES, value))
                        .requireStatus(200);
        assertThat(filled.at("/end")).isEqualTo("completed");
    }

    /// Every eighth of a page is checked.
    private void requireAll(String machine, UUID mdev, String value) {
        Answer checked =
                api.run(
                                machine,
                                """
                                {"steps":[{"op":"check","at":{"mdev":"%s","bar":0},"count":%d,"stride":512,"value":"%s"}],
                                 "deadlineMillis":600000}\
                                """
                                        .formatted(mdev, FILLED_BYTES / 512, value))
                        .requireStatus(200);
        assertThat(checked.at("/end")).isEqualTo("completed");
        assertThat(checked.numberAt("/steps/0/mismatches")).as(checked.text()).isZero();
    }

    private void requireFaultsAndResident(UUID mdev, long faults, long resident) {
        Answer view = api.get("/api/v1/mdevs/" + mdev).requireStatus(200);
        assertThat(view.numberAt("/faults")).isEqualTo(faults);
        assertThat(view.numberAt("/residentPages")).isEqualTo(resident);
        assertThat(view.numberAt("/regions/0/residentPages")).isEqualTo(resident);
    }

    /// The number of requests to the driver: each request is one record.
    private void requireCallbacks(UUID mdev, long count) {
        Answer faults = api.get("/api/v1/mdevs/%s/faults?limit=256".formatted(mdev));
        assertThat(faults.numberAt("/outcomes/granted")).isEqualTo(count);
        assertThat((long) faults.body().at("/recent").size()).isEqualTo(count);
        assertThat(
                        faults.body()
                                .at("/recent")
                                .valueStream()
                                .map(fault -> fault.at("/page").asLong())
                                .distinct()
                                .count())
                .isEqualTo(count);
    }
}
