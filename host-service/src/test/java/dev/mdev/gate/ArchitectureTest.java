package dev.mdev.gate;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.AccessTarget;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;

import dev.mdev.api.MdevDevice;

import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// Who may know whom.
class ArchitectureTest {
    private static final JavaClasses CLASSES =
            new ClassFileImporter()
                    .withImportOption(new ImportOption.DoNotIncludeTests())
                    .importPackages("dev.mdev");

    /// The packages below the host service, and which others each may use. It reads downwards: no
    /// package uses one that stands below it.
    private static final Map<String, Set<String>> MAY_USE =
            Map.ofEntries(
                    row("api.page"),
                    row("api", "api.page"),
                    row("api.register"),
                    row("core.sync"),
                    row("core.addr", "api.page"),
                    row("core.range"),
                    row("core.capacity", "api.page", "api", "core.range"),
                    row("core.devicestate", "api.page", "api"),
                    row("core.driver", "api"),
                    row("core.hostmm", "api.page", "core.sync", "api", "core.addr", "core.range"),
                    row("core.memslot", "api.page", "core.sync", "api", "core.addr"),
                    row("core.pci", "api"),
                    row("core.store", "api"),
                    row("core.sys", "api"),
                    row("core.dirty", "api.page", "api", "core.addr", "core.memslot"),
                    row("core.engine", "api.page", "api", "core.hostmm", "core.memslot"),
                    row("core.engine.kvm.kernel", "api", "core.memslot", "core.sys"),
                    row(
                            "core.guestmem",
                            "api.page",
                            "core.sync",
                            "core.hostmm",
                            "api",
                            "core.memslot"),
                    row("core.ledger", "api.page", "api", "core.range", "core.store"),
                    row(
                            "core.mapping",
                            "api.page",
                            "api",
                            "core.addr",
                            "core.driver",
                            "core.hostmm"),
                    row("core.topology", "api.page", "api", "core.addr", "core.memslot"),
                    row(
                            "core.device",
                            "api.page",
                            "api",
                            "core.addr",
                            "core.capacity",
                            "core.driver",
                            "core.hostmm",
                            "core.pci",
                            "core.ledger",
                            "core.mapping"),
                    row(
                            "core.dma",
                            "api.page",
                            "core.sync",
                            "api",
                            "core.addr",
                            "core.hostmm",
                            "core.memslot",
                            "core.guestmem"),
                    row(
                            "core.engine.kvm.mm",
                            "api.page",
                            "api",
                            "core.addr",
                            "core.hostmm",
                            "core.sys",
                            "core.engine.kvm.kernel"),
                    row(
                            "core.mmu",
                            "api.page",
                            "core.sync",
                            "api",
                            "core.addr",
                            "core.hostmm",
                            "core.memslot",
                            "core.dirty"),
                    row("core.x86", "api.page", "api", "core.memslot", "core.guestmem"),
                    row(
                            "core.bus",
                            "api.page",
                            "api",
                            "core.capacity",
                            "core.devicestate",
                            "core.driver",
                            "core.hostmm",
                            "core.pci",
                            "core.store",
                            "core.ledger",
                            "core.mapping",
                            "core.device"),
                    row(
                            "core.engine.kvm.stub",
                            "api.page",
                            "api",
                            "core.memslot",
                            "core.sys",
                            "core.engine",
                            "core.engine.kvm.kernel",
                            "core.engine.kvm.mm"),
                    row(
                            "core.engine.software",
                            "api.page",
                            "core.sync",
                            "api",
                            "core.addr",
                            "core.hostmm",
                            "core.memslot",
                            "core.dirty",
                            "core.engine",
                            "core.guestmem",
                            "core.mmu"),
                    row(
                            "core.vm",
                            "api.page",
                            "api",
                            "core.addr",
                            "core.range",
                            "core.hostmm",
                            "core.memslot",
                            "core.pci",
                            "core.engine",
                            "core.device",
                            "core.dma"),
                    row(
                            "core.engine.kvm",
                            "api.page",
                            "core.sync",
                            "api",
                            "core.hostmm",
                            "core.memslot",
                            "core.sys",
                            "core.dirty",
                            "core.engine",
                            "core.engine.kvm.kernel",
                            "core.engine.kvm.mm",
                            "core.engine.kvm.stub"),
                    row("core.loader", "api", "core.device", "core.bus"),
                    row("gpu", "api", "api.page", "api.register"));

    private static Map.Entry<String, Set<String>> row(String name, String... mayUse) {
        return Map.entry(name, Set.of(mayUse));
    }

    @Test
    void enoughClassesWereImported() {
        Map<String, Long> counts =
                CLASSES.stream()
                        .collect(
                                Collectors.groupingBy(
                                        type ->
                                                wordOf(type.getPackageName())
                                                        .replaceFirst("\\..*", ""),
                                        Collectors.counting()));
        assertThat(counts.get("api")).as("classes of mdev-api").isGreaterThan(25);
        assertThat(counts.get("core")).as("classes of mdev-core").isGreaterThan(150);
        assertThat(counts.get("gpu")).as("classes of gpu-sample-driver").isGreaterThan(4);
        assertThat(counts.get("host")).as("classes of host-service").isGreaterThan(50);
    }

    @Test
    void everyPackageIsInTheTable() {
        Set<String> unknown =
                packages()
                        .filter(name -> !name.startsWith("host"))
                        .filter(name -> !MAY_USE.containsKey(name))
                        .collect(Collectors.toCollection(TreeSet::new));
        assertThat(unknown).as("packages without a row in MAY_USE").isEmpty();
    }

    @Test
    void packagesUseOnlyWhatTheTableAllows() {
        List<String> wrong =
                CLASSES.stream()
                        .filter(type -> MAY_USE.containsKey(wordOf(type.getPackageName())))
                        .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                        .filter(ArchitectureTest::isAgainstTheTable)
                        .map(Dependency::getDescription)
                        .distinct()
                        .sorted()
                        .toList();
        assertThat(wrong).isEmpty();
    }

    private static boolean isAgainstTheTable(Dependency dependency) {
        String target = dependency.getTargetClass().getPackageName();
        if (!target.startsWith("dev.mdev.")) {
            return false;
        }
        String from = wordOf(dependency.getOriginClass().getPackageName());
        String to = wordOf(target);
        return !from.equals(to) && !MAY_USE.getOrDefault(from, Set.of()).contains(to);
    }

    @Test
    void noPackagesUseEachOtherInACircle() {
        slices().matching("dev.mdev.(**)").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void onlySysKnowsJna() {
        noClasses()
                .that()
                .resideOutsideOfPackage("dev.mdev.core.sys")
                .should()
                .dependOnClassesThat()
                .resideInAPackage("com.sun.jna..")
                .check(CLASSES);
    }

    @Test
    void onlyTheHostServiceKnowsSpring() {
        noClasses()
                .that()
                .resideOutsideOfPackage("dev.mdev.host..")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("org.springframework..", "io.micrometer..", "tools.jackson..")
                .check(CLASSES);
    }

    @Test
    void theDriverInterfaceDependsOnNothing() {
        classes()
                .that()
                .resideInAPackage("dev.mdev.api..")
                .should()
                .onlyDependOnClassesThat()
                .resideInAnyPackage("java..", "org.jspecify.annotations", "dev.mdev.api..")
                .check(CLASSES);
    }

    @Test
    void onlyTheMappingRoomAsksDriversForMappings() {
        ArchRule rule =
                noClasses()
                        .that()
                        .resideOutsideOfPackage("dev.mdev.core.mapping")
                        .should()
                        .accessTargetWhere(isValidateMapRequest());
        rule.check(CLASSES);
        long callers =
                CLASSES.get("dev.mdev.core.mapping.RegionVmaOps").getAccessesFromSelf().stream()
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

    @Test
    void everyPackageIsNullMarked() {
        List<String> unmarked =
                CLASSES.stream()
                        .map(JavaClass::getPackage)
                        .distinct()
                        .filter(name -> !name.isAnnotatedWith(NullMarked.class))
                        .map(JavaPackage::getName)
                        .filter(name -> !name.isEmpty())
                        .sorted()
                        .toList();
        assertThat(unmarked).isEmpty();
    }

    private static Stream<String> packages() {
        return CLASSES.stream()
                .map(JavaClass::getPackageName)
                .distinct()
                .map(ArchitectureTest::wordOf);
    }

    private static String wordOf(String packageName) {
        return packageName.equals("dev.mdev") || packageName.isEmpty()
                ? packageName
                : packageName.substring("dev.mdev.".length());
    }
}
