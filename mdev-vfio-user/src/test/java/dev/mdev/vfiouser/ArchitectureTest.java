package dev.mdev.vfiouser;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import org.junit.jupiter.api.Test;

import java.util.List;

/// The server knows the machinery, and neither engines' insides, nor drivers, nor the service.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.vfiouser",
                new PackageTable()
                        .row(
                                "vfiouser",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.device",
                                "core.dma",
                                "core.engine.barfile",
                                "core.guestmem",
                                "core.hostmm",
                                "core.memslot",
                                "core.pci",
                                "core.sync",
                                "core.sys"),
                List.of());
    }

    @Test
    void onlySysKnowsJna() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .resideInAPackage("com.sun.jna..")
                .check(imported());
    }
}
