package dev.mdev.api;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.gate.ArchitectureRules;
import dev.mdev.gate.ModuleSources;
import dev.mdev.gate.PackageTable;
import dev.mdev.gate.SourceLines;

import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.regex.Pattern;

/// The dependency rules of the driver interface.
class ArchitectureTest extends ArchitectureRules {
    ArchitectureTest() {
        super(
                "dev.mdev.api",
                new PackageTable()
                        .row("api.page")
                        .row("api.register")
                        .row("api", "api.page")
                        .row("api.layout", "api", "api.page"),
                List.of());
    }

    private static final Pattern HOST_ADDRESSES =
            Pattern.compile("(?i)\\b(gfn|hva)\\b|\\b(gfn|hva)[A-Z]|[a-z](Gfn|Hva)\\b");

    @Test
    void theDriverInterfaceDependsOnNothing() {
        classes()
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("java..", "org.jspecify.annotations", "dev.mdev.api..")
                .check(imported());
    }

    @Test
    void theDriverInterfaceKnowsNoHostAddresses() {
        assertThat(SourceLines.matching(HOST_ADDRESSES, ModuleSources.main())).isEmpty();
        assertThat(HOST_ADDRESSES.matcher("long firstGfn;").find())
                .as("the rule knows such a line when it sees it")
                .isTrue();
    }
}
