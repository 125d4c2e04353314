import java.io.IOException;
import java.lang.classfile.Annotation;
import java.lang.classfile.AttributedElement;
import java.lang.classfile.Attributes;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassModel;
import java.lang.constant.ClassDesc;
import java.lang.reflect.AccessFlag;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/// The test classes of a build, found in its class files: those that a report has to mention.
final class TestClasses {
    /// What makes a method, or a field, a test.
    private static final Set<String> TESTS =
            Set.of(
                    "org.junit.jupiter.api.Test",
                    "org.junit.jupiter.api.RepeatedTest",
                    "org.junit.jupiter.api.TestFactory",
                    "org.junit.jupiter.api.TestTemplate",
                    "org.junit.jupiter.params.ParameterizedTest",
                    "com.tngtech.archunit.junit.ArchTest");

    private static final String NESTED = "org.junit.jupiter.api.Nested";

    /// @param parents the superclass and the interfaces
    /// @param hasTests itself, without its parents
    private record Type(
            String name,
            List<String> parents,
            boolean isConcrete,
            boolean isNested,
            boolean hasTests) {
        boolean isTopLevel() {
            return name.indexOf('$') < 0;
        }
    }

    private final Map<String, Type> types = new HashMap<>();
    private final Map<String, String> moduleOfTests = new TreeMap<>();

    /// Adds what a module has compiled. Tests may extend classes of `main`, also of other modules,
    /// so all are added before one asks.
    void addModule(String module, Path target) throws IOException {
        read(target.resolve("classes"));
        read(target.resolve("test-classes")).forEach(name -> moduleOfTests.put(name, module));
    }

    /// The names of the classes that have tests, their own or inherited ones, with their modules.
    /// Nested classes that JUnit runs with the one around them count as that one; others, such as
    /// the subjects of tests that run tests, are none.
    Map<String, String> all() {
        Map<String, String> found = new TreeMap<>();
        moduleOfTests.forEach((name, module) -> {
            Type type = types.get(name);
            if (type.isTopLevel()
                    && type.isConcrete()
                    && (hasTests(name) || hasNestedTests(name))) {
                found.put(name, module);
            }
        });
        return found;
    }

    private boolean hasTests(String name) {
        Type type = types.get(name);
        return type != null
                && (type.hasTests() || type.parents().stream().anyMatch(this::hasTests));
    }

    private boolean hasNestedTests(String name) {
        return types.values().stream()
                .filter(type -> type.isNested() && type.name().startsWith(name + "$"))
                .anyMatch(type -> hasTests(type.name()));
    }

    private Set<String> read(Path folder) throws IOException {
        Set<String> names = new TreeSet<>();
        if (!Files.isDirectory(folder)) {
            return names;
        }
        try (Stream<Path> files = Files.walk(folder)) {
            for (Path file : files.filter(it -> it.toString().endsWith(".class")).toList()) {
                Type type = typeOf(file);
                types.put(type.name(), type);
                names.add(type.name());
            }
        }
        return names;
    }

    private static Type typeOf(Path file) throws IOException {
        ClassModel model;
        try {
            model = ClassFile.of().parse(file);
            List<String> parents = new ArrayList<>();
            model.superclass().ifPresent(it -> parents.add(nameOf(it.asSymbol())));
            model.interfaces().forEach(it -> parents.add(nameOf(it.asSymbol())));
            boolean isAbstract =
                    model.flags().has(AccessFlag.ABSTRACT)
                            || model.flags().has(AccessFlag.INTERFACE);
            boolean hasTests =
                    Stream.concat(model.methods().stream(), model.fields().stream())
                            .anyMatch(TestClasses::isTest);
            return new Type(
                    model.thisClass().asInternalName().replace('/', '.'),
                    List.copyOf(parents),
                    !isAbstract,
                    annotations(model).anyMatch(NESTED::equals),
                    hasTests);
        } catch (IllegalArgumentException e) {
            throw new IOException("%s is no class file: %s".formatted(file, e.getMessage()), e);
        }
    }

    private static boolean isTest(AttributedElement member) {
        return annotations(member).anyMatch(TESTS::contains);
    }

    private static Stream<String> annotations(AttributedElement element) {
        return element.findAttribute(Attributes.runtimeVisibleAnnotations()).stream()
                .flatMap(attribute -> attribute.annotations().stream())
                .map(Annotation::classSymbol)
                .map(TestClasses::nameOf);
    }

    private static String nameOf(ClassDesc type) {
        String descriptor = type.descriptorString();
        return descriptor.substring(1, descriptor.length() - 1).replace('/', '.');
    }
}
