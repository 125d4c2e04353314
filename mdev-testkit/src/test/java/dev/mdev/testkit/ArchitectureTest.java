package dev.mdev.testkit;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import java.util.List;

/// The test kit knows the driver interface, and nothing else of this project.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.testkit",
                new PackageTable().row("testkit", "api", "api.layout", "api.page"),
                List.of(
                        Circle.of(
                                "a host in memory, its devices and guests are one machine",
                                "AccessTrace",
                                "ElasticShares",
                                "GuestCalls",
                                "GuestMappings",
                                "InMemoryHost",
                                "InMemoryMdev",
                                "InMemoryParent",
                                "RecordedInterrupts",
                                "SavedBytes",
                                "SimulatedGuest",
                                "SimulatedRam",
                                "StateCalls")));
    }
}
