package dev.mdev.host;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.UnaryOperator;

/// Makes the pictures of the page for the documents, of a host with some devices in use.
record PageImages(Browser browser, UnaryOperator<String> url, Api api, String device) {

    void make(Path folder) throws IOException {
        others();
        work();
        browser.show(1280, 860, false);
        take("#/", folder.resolve("page-light.png"));
        browser.show(1280, 860, true);
        take("#/devices/" + device, folder.resolve("page-dark.png"));
        browser.show(390, 780, false);
        take("#/", folder.resolve("page-phone.png"));
    }

    private void others() {
        int number = 2;
        for (String type : List.of("gpu-sample-64m", "gpu-sample-32m", "gpu-sample-64m")) {
            String uuid =
                    "%1$d%1$d%1$d%1$d%1$d%1$d%1$d%1$d-1111-4111-8111-111111111111"
                            .formatted(number++);
            api.put(
                            "/api/v1/mdevs/" + uuid,
                            "{\"parent\":\"gpu0\",\"type\":\"%s\"}".formatted(type))
                    .requireStatus(201);
            api.put("/api/v1/machines/vm1/devices/" + uuid, "").requireStatus(201);
            touch(uuid, 900 * number);
        }
    }

    private void touch(String uuid, int pages) {
        String program =
                """
                {"steps":[{"op":"write","at":{"mdev":"%s","bar":0},"count":%d,"stride":4096}]}\
                """
                        .formatted(uuid, pages);
        api.post("/api/v1/machines/vm1/vcpus/1/programs", program).requireStatus(200);
    }

    /// Faults for some seconds, so that there is a rate to draw.
    private void work() {
        browser.open(url.apply("#/devices/" + device));
        for (int i = 1; i <= 12; i++) {
            touch(device, 64 + i * 150);
            int mapped = 64 + i * 150;
            browser.awaitName("canvas", "BAR 0, vram: %,d of 4,096 pages mapped".formatted(mapped));
        }
    }

    private void take(String place, Path file) throws IOException {
        browser.open(url.apply(place));
        browser.awaitText("11111111");
        browser.awaitName("canvas", "What 11111111 shows");
        browser.screenshot(file);
    }
}
