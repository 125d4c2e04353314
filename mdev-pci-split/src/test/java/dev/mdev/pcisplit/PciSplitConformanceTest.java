package dev.mdev.pcisplit;

import dev.mdev.api.ParentDriver;
import dev.mdev.pcisplit.description.Descriptions;
import dev.mdev.pcisplit.function.FakeFunction;
import dev.mdev.testkit.ParentDriverConformance;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/// The driver with a function in plain files. The kit's host gives memory in place of the files, so
/// doorbells keep their content, too: only the kit's own scrubbing clears them at a reset.
final class PciSplitConformanceTest extends ParentDriverConformance {
    private static @TempDir Path root;

    @BeforeAll
    static void plugIn() throws IOException {
        var _ =
                new FakeFunction(root)
                        .memory(0, 0xf000_0000L, 1 << 20)
                        .memory(1, 0x38_0000_0000L, 16 << 20);
        Path folder = Files.createDirectory(root.resolve("descriptions"));
        Files.writeString(folder.resolve("card.yaml"), withoutStoresToSharedRegisters());
    }

    /// All devices see the same passed registers, so a guest that stores there would be noticed by
    /// the others.
    private static String withoutStoresToSharedRegisters() {
        return Descriptions.CARD.replaceAll(", write: 0x[0-9a-f]+, reset: [0-9]+", "");
    }

    @Override
    public ParentDriver newDriver() {
        return new PciSplitDriver(root.resolve("sys"), root.resolve("proc"), root.resolve("dev"));
    }

    @Override
    public Map<String, String> settings() {
        return Map.of("dir", root.resolve("descriptions").toString());
    }
}
