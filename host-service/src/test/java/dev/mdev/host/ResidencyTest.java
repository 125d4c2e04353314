package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import tools.jackson.databind.JsonNode;

import java.util.UUID;

/// Which pages of a device are mapped, over HTTP.
class ResidencyTest extends HostTest {
    @Test
    void eachMappedPageIsInItsCell() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.createMachine("vm1", mdev);
        api.run(
                        "vm1",
                        """
                        {"steps":[
                          {"op":"write","at":{"mdev":"%1$s","bar":0},"count":3,"stride":4096},
                          {"op":"write","at":{"mdev":"%1$s","bar":0,"offset":"0xfff000"}}]}\
                        """
                                .formatted(mdev))
                .requireStatus(200);

        JsonNode pages = vram(mdev, 4096);
        assertThat(pages.at("/pages").asInt()).isEqualTo(4096);
        assertThat(pages.at("/pagesPerCell").asInt()).isEqualTo(1);
        assertThat(pages.at("/resident").size()).isEqualTo(4096);
        assertThat(pages.at("/resident/2").asInt()).isEqualTo(1);
        assertThat(pages.at("/resident/3").asInt()).isZero();
        assertThat(pages.at("/resident/4095").asInt()).isEqualTo(1);
        JsonNode cells = vram(mdev, 2);
        assertThat(cells.at("/pagesPerCell").asInt()).isEqualTo(2048);
        assertThat(cells.at("/resident").toString()).isEqualTo("[3,1]");

        api.post("/api/v1/mdevs/%s/revoke".formatted(mdev), "").requireStatus(200);
        assertThat(vram(mdev, 2).at("/resident").toString()).isEqualTo("[0,0]");
    }

    @Test
    void aWrongNumberOfCellsIsRefused() {
        UUID mdev = api.createMdev("gpu0", "gpu-sample-16m");
        api.get(path(mdev, 0)).requireProblem(422, "invalid");
        api.get(path(mdev, 4097)).requireProblem(422, "invalid");
        api.get(path(UUID.randomUUID(), 1)).requireProblem(404, "not-found");
    }

    private JsonNode vram(UUID mdev, int cells) {
        return api.get(path(mdev, cells)).requireStatus(200).body().at("/regions/0");
    }

    private static String path(UUID mdev, int cells) {
        return "/api/v1/mdevs/%s/residency?cells=%d".formatted(mdev, cells);
    }
}
