package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/// The service dies while it applies a document.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class KilledDesiredTest {
    private static final String ONE = "c0000000-0000-4000-8000-000000000001";
    private static final String TWO = "c0000000-0000-4000-8000-000000000002";
    private static final String THREE = "c0000000-0000-4000-8000-000000000003";
    private static final String PATH = "/api/v1/desired";

    @TempDir Path folder;

    private static String document(String second) {
        return """
        manager: m
        mdevs:
          %s: {parent: gpu0, type: gpu-sample-16m, persist: true, autostart: true}
          %s: {parent: hostile, type: %s, persist: true, autostart: true}
          %s: {parent: hostile, type: honest, persist: true, autostart: true}
        """
                .formatted(ONE, TWO, second, THREE);
    }

    private static Answer send(Api api, String method, String path, String document) {
        return api.send(method, path, document, Map.of("Content-Type", "application/yaml"));
    }

    private static CompletableFuture<Void> apply(Api api, String document) {
        return CompletableFuture.runAsync(() -> {
            try {
                send(api, "PUT", PATH, document);
            } catch (UncheckedIOException e) {
                // The service died under it.
            }
        });
    }

    @Test
    void eachDeviceIsOldOrNewAndTheDocumentCanBeAppliedAgain() throws Exception {
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Api api = service.api();
            CompletableFuture<Void> applying = apply(api, document("hangs-at-create"));
            while (!api.get("/api/v1/doctor").at("/state/unfinished/0/mdev").equals(TWO)) {
                Thread.onSpinWait();
            }
            service.kill();
            applying.join();
        }
        try (ServiceProcess service = ServiceProcess.start(folder)) {
            Api api = service.api();
            assertThat(api.namesOf("/api/v1/mdevs", "/uuid"))
                    .as("the step that did not end never was")
                    .containsExactly(ONE);
            Answer first = api.get("/api/v1/mdevs/" + ONE).requireStatus(200);
            assertThat(first.at("/state/activity")).isEqualTo("active");
            assertThat(first.at("/labels/managed-by")).isEqualTo("m");
            service.kill();
        }
        Path documents = Files.createDirectory(folder.resolve("documents"));
        Files.writeString(documents.resolve("site.yaml"), document("honest"));
        try (ServiceProcess service =
                ServiceProcess.start(folder, "--mdev.desired.dir=" + documents)) {
            Api api = service.api();
            assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).containsExactly(ONE, TWO, THREE);
            send(api, "POST", PATH + "/assert", document("honest")).requireStatus(204);
        }
    }
}
