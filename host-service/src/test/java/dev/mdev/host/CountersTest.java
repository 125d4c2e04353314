package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.util.UUID;

/// Drivers' counters, over HTTP.
class CountersTest extends HostTest {
    @Test
    void theSampleGpuTellsItsUsage() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.run(
                        "vm1",
                        """
                        {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":3,"stride":4096}]}\
                        """
                                .formatted(mdev))
                .requireStatus(200);
        Answer answer = api.get(pathOf(mdev)).requireStatus(200);
        assertThat(answer.at("/uuid")).isEqualTo(mdev.toString());
        assertThat(answer.body().at("/counters").toString())
                .isEqualTo(
                        "{\"engine_commands\":0,\"engine_errors\":0,\"engine_work_units\":0,"
                                + "\"vram_used_pages\":3}");
    }

    @Test
    void aDeviceWithoutCountersHasNone() {
        UUID mdev = api.createMdev(HostileDriver.PARENT, "denies");
        assertThat(api.get(pathOf(mdev)).requireStatus(200).body().at("/counters").size()).isZero();
        api.get(pathOf(UUID.randomUUID())).requireProblem(404, "not-found");
    }

    private static String pathOf(UUID mdev) {
        return "/api/v1/mdevs/%s/counters".formatted(mdev);
    }
}
