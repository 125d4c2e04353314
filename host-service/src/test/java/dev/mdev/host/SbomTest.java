package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/// What the build says that the service is made of.
class SbomTest {
    private static final String FILE = "/META-INF/sbom/application.cdx.json";

    @Test
    void itNamesEachLibraryWithItsVersionAndLicenceAndNoTool() throws IOException {
        JsonNode sbom = sbom();
        assertThat(sbom.at("/bomFormat").asString()).isEqualTo("CycloneDX");
        assertThat(sbom.at("/metadata/component/name").asString()).isEqualTo("host-service");
        List<String> names = new ArrayList<>();
        for (JsonNode component : sbom.at("/components")) {
            String name =
                    component.at("/group").asString() + ":" + component.at("/name").asString();
            names.add(name);
            assertThat(component.at("/version").asString()).as(name).isNotEmpty();
            assertThat(component.at("/licenses").isEmpty()).as("no licence: " + name).isFalse();
        }
        assertThat(names)
                .contains(
                        "dev.mdev:mdev-core",
                        "net.java.dev.jna:jna",
                        "org.springframework:spring-web",
                        "io.micrometer:micrometer-core")
                .noneMatch(name -> name.contains("junit") || name.contains("testcontainers"));
    }

    private static JsonNode sbom() throws IOException {
        try (InputStream in = SbomTest.class.getResourceAsStream(FILE)) {
            return JsonMapper.shared().readTree(Objects.requireNonNull(in, FILE));
        }
    }
}
