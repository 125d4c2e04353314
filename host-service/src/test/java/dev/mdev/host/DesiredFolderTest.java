package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.test.context.TestPropertySource;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Documents that are applied at the start.
@TestPropertySource(properties = {"mdev.access.authentication=none", "mdev.driver-deadline=60s"})
@DirtiesContext
class DesiredFolderTest extends HostTest {
    private static final String DEVICE = "11111111-1111-4111-8111-111111111111";
    private static final String MACHINE = "{manager: %s, machines: [{name: %s, ramMib: 1}]}";

    @TempDir static Path folder;

    @DynamicPropertySource
    static void documents(DynamicPropertyRegistry settings) {
        try {
            write("1-broken.yaml", "manager: [");
            write("2-invalid.yml", "{manager: a b}");
            Files.createDirectory(folder.resolve("3-folder.yaml"));
            Files.createSymbolicLink(folder.resolve("4-link.yaml"), Path.of("/dev/zero"));
            write(
                    "5-machine.json",
                    "{\n\t\"manager\":\"start\",\"machines\":[{\"name\":\"vm1\",\"ramMib\":1}],"
                            + "\"attachments\":{\"vm1\":[\"%s\"]}}".formatted(DEVICE));
            write(
                    "4-device.yaml",
                    "manager: start\nmdevs: {%s: {parent: gpu0, type: gpu-sample-16m}}\n"
                            .formatted(DEVICE));
            write("5-nothing.json", "null");
            write(
                    "5-number.yaml",
                    "{manager: big, machines: [{name: vm4, ramMib: %s}]}"
                            .formatted("9".repeat(1000)));
            write("6-notes.txt", "manager: start\nprune: true\n");
            write("7-rival.yaml", "{manager: rival, prune: true}");
            write("8-rival.yaml", MACHINE.formatted("rival", "vm2"));
            write("linked", MACHINE.formatted("linked", "vm3"));
            Files.createSymbolicLink(folder.resolve("9-link.yaml"), folder.resolve("linked"));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        settings.add("mdev.desired.dir", folder::toString);
    }

    private static void write(String name, String text) throws IOException {
        Files.writeString(folder.resolve(name), text);
    }

    private List<String> troubles() {
        List<String> texts = new ArrayList<>();
        api.get("/api/v1/doctor")
                .requireStatus(200)
                .body()
                .at("/documents")
                .forEach(it -> texts.add(it.asString().replace(folder + "/", "")));
        return texts;
    }

    @Test
    void theGoodDocumentsAreAppliedInOrderAndTheDoctorTellsOfTheOthers() {
        api.get("/actuator/health/readiness").requireStatus(200);
        assertThat(api.namesOf("/api/v1/mdevs", "/uuid")).containsExactly(DEVICE);
        Answer device = api.get("/api/v1/mdevs/" + DEVICE).requireStatus(200);
        assertThat(device.at("/machine")).isEqualTo("vm1");
        assertThat(device.at("/labels/managed-by")).isEqualTo("start");
        assertThat(api.namesOf("/api/v1/machines", "/name")).containsExactly("vm1", "vm3");
        assertThat(api.namesOf("/api/v1/audit?caller=service&phase=done", "/path"))
                .contains("/api/v1/mdevs/" + DEVICE, "/api/v1/machines");
        List<String> refused =
                List.of(
                        "1-broken.yaml",
                        "2-invalid.yml",
                        "3-folder.yaml",
                        "4-link.yaml",
                        "5-nothing.json",
                        "5-number.yaml",
                        "7-rival.yaml",
                        "8-rival.yaml");
        assertThat(troubles())
                .extracting(it -> it.replaceFirst(" is refused: .*", ""))
                .containsExactlyElementsOf(refused);

        api.delete("/api/v1/machines/vm3").requireStatus(204);

        assertThat(troubles())
                .hasSize(9)
                .contains("9-link.yaml: differences=1: create machines/vm3 guest");
    }
}
