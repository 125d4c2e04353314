package dev.mdev.gate;

import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaPackage;
import com.tngtech.archunit.core.importer.ClassFileImporter;

import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/// The dependency rules of a module. A module's own test extends it and describes its packages.
public abstract class ArchitectureRules {
    /// The maximum size of a circle of classes: a few types that belong together may form one.
    private static final int LARGEST_CIRCLE = 4;

    private final JavaClasses classes;
    private final PackageTable table;
    private final List<Circle> justified;

    /// A circle of classes that is larger than the rule allows, with the reason.
    ///
    /// @param types simple names
    public record Circle(String reason, Set<String> types) {
        /// Makes a circle of these types.
        public static Circle of(String reason, String... types) {
            return new Circle(reason, Set.of(types));
        }
    }

    /// Makes the rules of a module.
    ///
    /// @param root the package that holds all classes of the module
    protected ArchitectureRules(String root, PackageTable table, List<Circle> justified) {
        this.classes = classesOf(root);
        this.table = table;
        this.justified = List.copyOf(justified);
    }

    private static JavaClasses classesOf(String root) {
        return new ClassFileImporter()
                .withImportOption(location -> !location.contains("/test-classes/"))
                .importPackages(root);
    }

    /// The classes of the module's `main`.
    protected final JavaClasses imported() {
        return classes;
    }

    @Test
    final void everyPackageIsInTheTable() {
        assertThat(classes).as("classes of the module").isNotEmpty();
        assertThat(table.withoutRow(classes)).as("packages without a row").isEmpty();
    }

    @Test
    final void packagesUseOnlyWhatTheTableAllows() {
        assertThat(table.forbidden(classes)).isEmpty();
    }

    @Test
    final void theTableAllowsOnlyWhatIsUsed() {
        assertThat(table.unused(classes)).as("rows and entries without a use").isEmpty();
    }

    @Test
    final void theTableReadsDownwards() {
        assertThat(table.upsideDown()).as("packages that use one below").isEmpty();
    }

    @Test
    final void noPackagesUseEachOtherInACircle() {
        slices().matching("dev.mdev.(**)").should().beFreeOfCycles().check(classes);
    }

    @Test
    final void circlesOfClassesAreSmallOrJustified() {
        List<Set<String>> large = largeCircles();
        assertThat(large.stream().filter(circle -> justified.stream().noneMatch(covers(circle))))
                .as("circles of more than %d classes", LARGEST_CIRCLE)
                .isEmpty();
        assertThat(
                        justified.stream()
                                .filter(one -> large.stream().noneMatch(one.types::containsAll)))
                .as("justified circles that are gone")
                .isEmpty();
    }

    private static Predicate<Circle> covers(Set<String> circle) {
        return one -> one.types.containsAll(circle);
    }

    private List<Set<String>> largeCircles() {
        return ClassCircles.of(classes).stream()
                .filter(circle -> circle.size() > LARGEST_CIRCLE)
                .map(ArchitectureRules::simpleNames)
                .toList();
    }

    private static Set<String> simpleNames(Set<String> names) {
        return names.stream()
                .map(name -> name.substring(name.lastIndexOf('.') + 1))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    @Test
    final void everyPackageIsNullMarked() {
        List<String> unmarked =
                classes.stream()
                        .map(JavaClass::getPackage)
                        .distinct()
                        .filter(name -> !name.isAnnotatedWith(NullMarked.class))
                        .map(JavaPackage::getName)
                        .sorted()
                        .toList();
        assertThat(unmarked).isEmpty();
    }
}
