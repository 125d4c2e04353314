package dev.mdev.pcisplit;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import java.util.List;

/// The driver knows the driver interface, and nothing else of this project.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.pcisplit",
                new PackageTable()
                        .row("pcisplit.description", "api", "api.layout", "api.page")
                        .row("pcisplit.function", "api", "api.page", "pcisplit.description")
                        .row(
                                "pcisplit",
                                "api",
                                "api.layout",
                                "api.page",
                                "api.register",
                                "pcisplit.description",
                                "pcisplit.function"),
                List.of());
    }
}
