package dev.mdev.gpu;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import java.util.List;

/// The driver knows the driver interface, and nothing else of this project.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.gpu",
                new PackageTable().row("gpu", "api", "api.page", "api.register"),
                List.of());
    }
}
