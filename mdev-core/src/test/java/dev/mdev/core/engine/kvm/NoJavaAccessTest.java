package dev.mdev.core.engine.kvm;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/// A Java thread that touches memory which faults into this process can stop the process forever.
/// So addresses of such memory stay numbers: the one place that makes a segment of an address is
/// for mappings that never fault.
class NoJavaAccessTest {
    private static final Path SOURCES = Path.of("src/main/java/dev/mdev/core/engine/kvm");

    @Test
    void onlyFileMappingMakesASegmentOfAnAddress() throws IOException {
        try (Stream<Path> files = Files.walk(SOURCES)) {
            List<Path> all = files.filter(Files::isRegularFile).toList();
            assertThat(all).hasSizeGreaterThan(20);
            for (Path file : all) {
                String source = Files.readString(file);
                if (!file.endsWith("FileMapping.java")) {
                    assertThat(source)
                            .as("%s", file)
                            .doesNotContain("reinterpret", "ofAddress", "Unsafe", "Pointer");
                }
            }
        }
    }
}
