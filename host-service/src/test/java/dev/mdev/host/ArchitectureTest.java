package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import org.junit.jupiter.api.Test;

import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The dependency rules of the host service.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.host",
                new PackageTable()
                        .row("host")
                        .row("host.problem", "api", "core.device", "core.driver", "core.store")
                        .row(
                                "host.bus",
                                "api",
                                "api.layout",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.elastic",
                                "core.engine",
                                "core.engine.barfile",
                                "core.engine.kvm",
                                "core.engine.kvm.mm",
                                "core.engine.software",
                                "core.hostmm",
                                "core.kernelbus",
                                "core.loader",
                                "core.mapping",
                                "core.store",
                                "host.problem")
                        .row(
                                "host.web",
                                "api",
                                "core.bus",
                                "core.driver",
                                "host.bus",
                                "host.problem")
                        .row(
                                "host.access",
                                "api",
                                "core.bus",
                                "core.engine",
                                "core.store",
                                "host.bus",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.event",
                                "api",
                                "api.page",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.ledger",
                                "core.mapping",
                                "core.store",
                                "host.access",
                                "host.problem")
                        .row(
                                "host.operation",
                                "core.sync",
                                "host.access",
                                "host.event",
                                "host.problem",
                                "host.web")
                        .row("host.label", "api", "core.store", "host.access", "host.problem")
                        .row(
                                "host.mdev",
                                "api",
                                "api.page",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.ledger",
                                "core.mapping",
                                "host.access",
                                "host.event",
                                "host.label",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.parent",
                                "api",
                                "core.bus",
                                "core.capacity",
                                "core.device",
                                "core.elastic",
                                "core.ledger",
                                "core.store",
                                "host.access",
                                "host.bus",
                                "host.mdev",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.machine",
                                "api",
                                "api.page",
                                "core.bus",
                                "core.device",
                                "core.dirty",
                                "core.engine",
                                "core.engine.barfile",
                                "core.hostmm",
                                "core.machinestate",
                                "core.memslot",
                                "core.pci",
                                "core.store",
                                "core.vm",
                                "host.access",
                                "host.event",
                                "host.label",
                                "host.mdev",
                                "host.problem",
                                "host.web",
                                "vfiouser")
                        .row(
                                "host.desired",
                                "api",
                                "core.bus",
                                "core.device",
                                "core.ledger",
                                "core.sync",
                                "host.access",
                                "host.label",
                                "host.machine",
                                "host.mdev",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.doctor",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.engine",
                                "core.ledger",
                                "host.bus",
                                "host.desired",
                                "host.event")
                        .row(
                                "host.metric",
                                "api",
                                "core.bus",
                                "core.capacity",
                                "core.device",
                                "core.driver",
                                "core.elastic",
                                "core.machinestate",
                                "core.mapping",
                                "core.vm",
                                "host.bus",
                                "host.event",
                                "host.machine",
                                "host.operation",
                                "host.parent"),
                List.of());
    }

    @Test
    void theMachineryExportsWhatTheServiceAndTheServerUseAndNoMore() throws URISyntaxException {
        URL core = MdevBus.class.getProtectionDomain().getCodeSource().getLocation();
        ModuleDescriptor descriptor =
                ModuleFinder.of(Path.of(core.toURI()))
                        .find("dev.mdev.core")
                        .orElseThrow()
                        .descriptor();
        assertThat(descriptor.exports().stream().map(ModuleDescriptor.Exports::source))
                .containsExactlyInAnyOrderElementsOf(usedPackagesOf("dev.mdev.core."));
    }

    private Set<String> usedPackagesOf(String prefix) {
        JavaClasses server = new ClassFileImporter().importPackages("dev.mdev.vfiouser");
        return Stream.concat(imported().stream(), server.stream())
                .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                .map(use -> use.getTargetClass().getPackageName())
                .filter(name -> name.startsWith(prefix))
                .collect(Collectors.toSet());
    }
}
