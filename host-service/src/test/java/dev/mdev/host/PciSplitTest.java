package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/// The driver of real functions is one of the host's own, and the doctor tells why it has no
/// parents.
class PciSplitTest extends HostTest {
    private static @TempDir Path folder;

    @DynamicPropertySource
    static void describe(DynamicPropertyRegistry properties) throws IOException {
        Files.writeString(
                folder.resolve("gone.yaml"),
                """
                function: "ffff:ff:1f.7"
                pools: {memory: {bar: 2, size: 4MiB}}
                types:
                  small:
                    demands: {memory: {size: 1MiB}}
                    bars: {0: {areas: [{pool: memory}]}}
                """);
        Files.writeString(folder.resolve("wrong.yaml"), "function: \"0000:00:00.0\"\npool: {}\n");
        properties.add("mdev.drivers.pci-split.dir", folder::toString);
    }

    @Test
    void theDoctorNamesWhatIsMissingAndWhatIsWrong() {
        assertThat(api.get("/api/v1/doctor").requireStatus(200).body().at("/drivers"))
                .anySatisfy(driver -> {
                    assertThat(driver.at("/name").asString()).isEqualTo("pci-split");
                    assertThat(driver.at("/parents").size()).isZero();
                    assertThat(driver.at("/trouble").asString())
                            .contains("gone.yaml: there is no function ffff:ff:1f.7")
                            .contains("wrong.yaml: line 2: pool is not a field of this format");
                });
    }
}
