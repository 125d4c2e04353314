package dev.mdev.cli;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.PackageTable;

import java.util.List;

/// The dependency rules of the command line.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.cli",
                new PackageTable()
                        .row("cli.failure")
                        .row("cli.text")
                        .row("cli.client", "cli.failure", "cli.text")
                        .row("cli.profile", "cli.failure")
                        .row("cli.terminal", "cli.failure", "cli.text")
                        .row(
                                "cli.verb",
                                "cli.client",
                                "cli.failure",
                                "cli.profile",
                                "cli.terminal",
                                "cli.text")
                        .row("cli", "cli.failure", "cli.terminal", "cli.verb"),
                List.of());
    }
}
