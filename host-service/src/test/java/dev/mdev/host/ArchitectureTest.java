package dev.mdev.host;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import java.util.List;

/// Who may know whom in the host service.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.host",
                new PackageTable()
                        .row("host")
                        .row(
                                "host.bus",
                                "api",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.engine",
                                "core.engine.kvm",
                                "core.engine.kvm.mm",
                                "core.engine.software",
                                "core.hostmm",
                                "core.loader",
                                "core.mapping",
                                "core.store")
                        .row(
                                "host.doctor",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.engine",
                                "core.ledger",
                                "host.bus")
                        .row("host.problem", "api", "core.store")
                        .row("host.web", "host.problem")
                        .row(
                                "host.event",
                                "api",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.ledger",
                                "core.mapping",
                                "host.problem")
                        .row(
                                "host.mdev",
                                "api",
                                "api.page",
                                "core.bus",
                                "core.device",
                                "core.driver",
                                "core.ledger",
                                "core.mapping",
                                "host.event",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.parent",
                                "api",
                                "core.bus",
                                "core.capacity",
                                "core.device",
                                "core.driver",
                                "core.ledger",
                                "core.store",
                                "host.mdev",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.machine",
                                "api",
                                "api.page",
                                "core.device",
                                "core.engine",
                                "core.hostmm",
                                "core.vm",
                                "host.event",
                                "host.mdev",
                                "host.problem",
                                "host.web")
                        .row(
                                "host.metric",
                                "api",
                                "core.bus",
                                "core.capacity",
                                "core.device",
                                "core.driver",
                                "core.mapping",
                                "host.machine",
                                "host.parent"),
                List.of());
    }
}
