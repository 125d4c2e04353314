package dev.mdev.core.loader;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.api.ParentDriver;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import java.util.stream.Stream;

import javax.tools.JavaCompiler;
import javax.tools.ToolProvider;

/// Makes jars of drivers, good and bad.
///
/// @param folder the folder of the jars
/// @param sources a folder for sources and classes
public record DriverJars(Path folder, Path sources) {
    private static final String SERVICE = "META-INF/services/" + ParentDriver.class.getName();

    /// Compiles a driver and puts it into a jar.
    ///
    /// @param body the statements of `probe`
    public void jar(String file, String className, String name, String extra, String body)
            throws IOException {
        Path source = sources.resolve(className + ".java");
        Files.writeString(
                source,
                """
                import dev.mdev.api.*;
                import dev.mdev.api.page.*;
                import java.util.*;
                public class %s implements ParentDriver {
                    %s
                    public String name() { return "%s"; }
                    public List<ParentDevice> probe(ParentHost host) { %s }
                    static ParentDevice parent(String name, Aperture aperture) {
                        return new ParentDevice() {
                            public String name() { return name; }
                            public String description() { return ""; }
                            public Aperture aperture() { return aperture; }
                            public List<ResourcePool> pools() { return List.of(); }
                            public List<MdevType> types() { return List.of(); }
                            public MdevDevice create(MdevContext context) { return null; }
                            public void close() {}
                        };
                    }
                }
                """
                        .formatted(className, extra, name, body));
        pack(file, compile(source, file), className);
    }

    /// Compiles a source.
    ///
    /// @return the folder of the classes
    public Path compile(Path source, String file) throws IOException {
        Path classes = Files.createDirectories(sources.resolve(file));
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        int result =
                compiler.run(
                        null,
                        null,
                        null,
                        "-proc:none",
                        "-cp",
                        System.getProperty("java.class.path"),
                        "-d",
                        classes.toString(),
                        source.toString());
        assertThat(result).as("javac").isZero();
        return classes;
    }

    /// Puts classes into a jar that names a driver.
    public void pack(String file, Path classes, String service) throws IOException {
        try (OutputStream out = Files.newOutputStream(folder.resolve(file));
                JarOutputStream jar = new JarOutputStream(out);
                Stream<Path> all = Files.walk(classes)) {
            jar.putNextEntry(new JarEntry(SERVICE));
            jar.write(service.getBytes(StandardCharsets.UTF_8));
            for (Path path : all.filter(Files::isRegularFile).toList()) {
                jar.putNextEntry(new JarEntry(classes.relativize(path).toString()));
                jar.write(Files.readAllBytes(path));
            }
        }
    }

    /// The statements of a `probe` that finds a parent.
    public static String goodProbe(String parent) {
        return "return List.of(parent(\"%s\", host.allocateAperture(\"a\", 4)));".formatted(parent);
    }

    /// Adds a file to a jar.
    public void add(String file, String entry, byte[] content) throws IOException {
        try (FileSystem jar = FileSystems.newFileSystem(folder.resolve(file))) {
            Path path = jar.getPath(entry);
            if (path.getParent() != null) {
                Files.createDirectories(path.getParent());
            }
            Files.write(path, content);
        }
    }

    /// Adds a manifest with a line to a jar.
    public void manifest(String file, String line) throws IOException {
        add(
                file,
                "META-INF/MANIFEST.MF",
                ("Manifest-Version: 1.0\n" + line + "\n").getBytes(StandardCharsets.UTF_8));
    }
}
