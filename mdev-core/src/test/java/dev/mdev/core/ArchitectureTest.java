package dev.mdev.core;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.lang.ArchRule;

import dev.mdev.api.MdevDevice;
import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import org.junit.jupiter.api.Test;

import java.util.List;

/// Who may know whom in the machinery.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.core",
                new PackageTable()
                        .row("core.sync", "api")
                        .row("core.addr", "api.page")
                        .row("core.range")
                        .row("core.capacity", "api", "api.page", "core.range")
                        .row("core.devicestate", "api", "api.page")
                        .row("core.driver", "api", "core.sync")
                        .row("core.elastic", "api", "api.page", "core.sync")
                        .row("core.pci", "api", "api.layout")
                        .row("core.store", "api")
                        .row("core.sys", "api")
                        .row(
                                "core.hostmm",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.range",
                                "core.sync")
                        .row("core.hostfile", "api", "api.page", "core.hostmm", "core.sys")
                        .row("core.ledger", "api", "api.page", "core.range", "core.store")
                        .row(
                                "core.mapping",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.driver",
                                "core.elastic",
                                "core.hostmm",
                                "core.sync")
                        .row("core.memslot", "api", "api.page", "core.addr", "core.sync")
                        .row("core.machinestate", "api", "api.page", "core.memslot")
                        .row("core.topology", "api", "api.page", "core.addr", "core.memslot")
                        .row(
                                "core.device",
                                "api",
                                "api.layout",
                                "api.page",
                                "core.capacity",
                                "core.driver",
                                "core.elastic",
                                "core.hostmm",
                                "core.ledger",
                                "core.mapping",
                                "core.pci",
                                "core.sync")
                        .row("core.dirty", "api", "api.page", "core.addr", "core.memslot")
                        .row("core.dma", "api", "api.page", "core.addr", "core.sync")
                        .row(
                                "core.engine",
                                "api",
                                "api.page",
                                "core.dirty",
                                "core.dma",
                                "core.hostmm",
                                "core.memslot",
                                "core.topology")
                        .row(
                                "core.engine.barfile",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.device",
                                "core.engine",
                                "core.hostmm",
                                "core.sync",
                                "core.sys")
                        .row("core.engine.kvm.kernel", "api", "core.memslot", "core.sys")
                        .row(
                                "core.engine.kvm.mm",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.engine.kvm.kernel",
                                "core.hostmm",
                                "core.sys")
                        .row(
                                "core.engine.kvm.stub",
                                "api",
                                "api.page",
                                "core.engine",
                                "core.engine.kvm.kernel",
                                "core.engine.kvm.mm",
                                "core.memslot",
                                "core.sys")
                        .row("core.kernelbus", "api", "core.sys")
                        .row(
                                "core.guestmem",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.dma",
                                "core.hostmm",
                                "core.memslot",
                                "core.sync")
                        .row(
                                "core.mmu",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.dirty",
                                "core.hostmm",
                                "core.memslot",
                                "core.sync",
                                "core.topology")
                        .row("core.x86", "api", "api.page", "core.guestmem", "core.memslot")
                        .row(
                                "core.bus",
                                "api",
                                "api.layout",
                                "api.page",
                                "core.capacity",
                                "core.device",
                                "core.devicestate",
                                "core.driver",
                                "core.elastic",
                                "core.hostfile",
                                "core.hostmm",
                                "core.ledger",
                                "core.mapping",
                                "core.pci",
                                "core.store",
                                "core.sync",
                                "core.sys")
                        .row(
                                "core.engine.kvm",
                                "api",
                                "api.page",
                                "core.dirty",
                                "core.dma",
                                "core.engine",
                                "core.engine.kvm.kernel",
                                "core.engine.kvm.mm",
                                "core.engine.kvm.stub",
                                "core.hostmm",
                                "core.memslot",
                                "core.sync",
                                "core.sys",
                                "core.topology")
                        .row(
                                "core.engine.software",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.dirty",
                                "core.dma",
                                "core.engine",
                                "core.guestmem",
                                "core.hostmm",
                                "core.memslot",
                                "core.mmu",
                                "core.sync",
                                "core.topology",
                                "core.x86")
                        .row(
                                "core.loader",
                                "api",
                                "api.layout",
                                "core.bus",
                                "core.device",
                                "core.driver")
                        .row(
                                "core.vm",
                                "api",
                                "api.page",
                                "core.addr",
                                "core.bus",
                                "core.device",
                                "core.dirty",
                                "core.dma",
                                "core.engine",
                                "core.guestmem",
                                "core.hostmm",
                                "core.machinestate",
                                "core.memslot",
                                "core.pci",
                                "core.range",
                                "core.sync",
                                "core.sys",
                                "core.topology"),
                List.of());
    }

    @Test
    void onlySysKnowsJna() {
        noClasses()
                .that()
                .resideOutsideOfPackage("dev.mdev.core.sys")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("com.sun.jna..")
                .check(imported());
    }

    @Test
    void theMachineryKnowsNoFramework() {
        classes()
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage(
                        "java..",
                        "javax.crypto..",
                        "com.sun.jna..",
                        "com.google.errorprone.annotations..",
                        "org.jspecify.annotations",
                        "dev.mdev..")
                .check(imported());
    }

    @Test
    void onlyTheMappingRoomAsksDriversForMappings() {
        ArchRule rule =
                noClasses()
                        .that()
                        .resideOutsideOfPackage("dev.mdev.core.mapping")
                        .should()
                        .accessTargetWhere(isValidateMapRequest());
        rule.check(imported());
        long callers =
                imported().get("dev.mdev.core.mapping.RegionVmaOps").getAccessesFromSelf().stream()
                        .filter(isValidateMapRequest())
                        .count();
        assertThat(callers).as("the rule knows the call when it sees it").isPositive();
    }

    private static DescribedPredicate<JavaAccess<?>> isValidateMapRequest() {
        return DescribedPredicate.describe(
                "the driver's validateMapRequest is called",
                access -> {
                    AccessTarget target = access.getTarget();
                    return target.getName().equals("validateMapRequest")
                            && target.getOwner().isAssignableTo(MdevDevice.class);
                });
    }
}
