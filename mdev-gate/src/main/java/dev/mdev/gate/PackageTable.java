package dev.mdev.gate;

import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/// The packages of a module, and which others each may use. It reads downwards: no package uses one
/// that stands below it. Names leave `dev.mdev.` out.
public final class PackageTable {
    private static final String ROOT = "dev.mdev.";

    private final Map<String, Set<String>> mayUse = new LinkedHashMap<>();

    /// Adds a row.
    ///
    /// @param mayUse packages of this project that stand above, or belong to another module
    /// @return this
    public PackageTable row(String name, String... mayUse) {
        if (this.mayUse.put(name, Set.of(mayUse)) != null) {
            throw new IllegalArgumentException("two rows for " + name);
        }
        return this;
    }

    /// The packages among these classes that have no row.
    Set<String> withoutRow(JavaClasses classes) {
        return classes.stream()
                .map(PackageTable::nameOf)
                .filter(name -> !mayUse.containsKey(name))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /// The uses that the table does not allow.
    List<String> forbidden(JavaClasses classes) {
        return uses(classes)
                .filter(use -> !mayUse.getOrDefault(from(use), Set.of()).contains(to(use)))
                .map(Dependency::getDescription)
                .distinct()
                .sorted()
                .toList();
    }

    /// The table's entries without a use, and rows of packages that no longer exist.
    Set<String> unused(JavaClasses classes) {
        Set<String> used =
                uses(classes).map(use -> edge(from(use), to(use))).collect(Collectors.toSet());
        Set<String> there = classes.stream().map(PackageTable::nameOf).collect(Collectors.toSet());
        Set<String> unused = new TreeSet<>();
        mayUse.forEach((name, others) -> {
            if (!there.contains(name)) {
                unused.add(name);
            }
            others.stream()
                    .map(other -> edge(name, other))
                    .filter(edge -> !used.contains(edge))
                    .forEach(unused::add);
        });
        return unused;
    }

    /// Rows that use a package of the same table that stands below.
    Set<String> upsideDown() {
        List<String> order = List.copyOf(mayUse.keySet());
        Set<String> wrong = new TreeSet<>();
        mayUse.forEach((name, others) ->
                others.stream()
                        .filter(other -> order.indexOf(other) >= order.indexOf(name))
                        .map(other -> edge(name, other))
                        .forEach(wrong::add));
        return wrong;
    }

    private static Stream<Dependency> uses(JavaClasses classes) {
        return classes.stream()
                .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                .filter(use -> use.getTargetClass().getPackageName().startsWith(ROOT))
                .filter(use -> !from(use).equals(to(use)));
    }

    private static String from(Dependency use) {
        return nameOf(use.getOriginClass());
    }

    private static String to(Dependency use) {
        return nameOf(use.getTargetClass());
    }

    private static String edge(String from, String to) {
        return from + " -> " + to;
    }

    private static String nameOf(JavaClass type) {
        return type.getPackageName().substring(ROOT.length());
    }
}
