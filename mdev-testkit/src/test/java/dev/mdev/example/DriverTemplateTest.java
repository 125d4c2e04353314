package dev.mdev.example;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.mdev.api.ParentDriver;
import dev.mdev.testkit.InMemoryHost;
import dev.mdev.testkit.ParentDriverConformance;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.concurrent.TimeUnit;
import java.util.jar.JarEntry;
import java.util.jar.JarFile;
import java.util.jar.JarOutputStream;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/// From the guide alone: the commands as they are printed make a driver's jar out of the template,
/// and the jar is a driver. Offline: artifacts of this build are put into a local repository of the
/// test's own, and everything else comes from the repository of the user who runs it.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
final class DriverTemplateTest {
    private static final Path ROOT = Path.of("..").toAbsolutePath().normalize();
    private static final String VERSION = "0.1.0-SNAPSHOT";
    private static final Pattern COMMANDS =
            Pattern.compile(
                    "<!-- DriverTemplateTest runs these. -->\n```sh\n(.*?)```", Pattern.DOTALL);

    @TempDir Path home;
    @TempDir Path work;

    @Test
    void theCommandsOfTheGuideMakeADriver() throws Exception {
        Path users = Path.of(System.getProperty("user.home"), ".m2", "repository");
        assumeTrue(Files.isDirectory(users), "no local Maven repository to be offline with");
        assumeTrue(run("mvn -v") == 0, "no Maven: " + output());
        writeSettings(users);
        install("mdev", "pom", null);
        install("mdev-api", "jar", ParentDriver.class);
        install("mdev-testkit", "jar", ParentDriverConformance.class);
        copy(ROOT.resolve("driver-template"), work.resolve("driver-template"));

        assertThat(run("set -e\n" + commands())).as("%s", output()).isZero();

        assertThat(output()).contains("Tests run").contains("BUILD SUCCESS");
        checkJar(work.resolve("drivers").resolve("my-driver-1.0-SNAPSHOT.jar"));
    }

    private static String commands() throws IOException {
        Matcher block =
                COMMANDS.matcher(Files.readString(ROOT.resolve("docs").resolve("driver-guide.md")));
        assertThat(block.find()).isTrue();
        return block.group(1);
    }

    /// As the host: by a class loader of its own, with nothing but the contract around it.
    private static void checkJar(Path jar) throws IOException {
        ClassLoader contract = DriverTemplateTest.class.getClassLoader();
        try (URLClassLoader loader =
                new URLClassLoader(new URL[] {jar.toUri().toURL()}, contract)) {
            List<ParentDriver> drivers =
                    ServiceLoader.load(ParentDriver.class, loader).stream()
                            .filter(found -> loader.equals(found.type().getClassLoader()))
                            .map(ServiceLoader.Provider::get)
                            .toList();
            assertThat(drivers).hasSize(1);
            try (JarFile file = new JarFile(jar.toFile())) {
                assertThat(file.getManifest().getMainAttributes().getValue("Mdev-Api-Level"))
                        .isEqualTo(Integer.toString(ParentDriver.API_LEVEL));
            }
            try (InMemoryHost host = new InMemoryHost(drivers.getFirst(), Map.of())) {
                assertThat(host.parent().name()).isEqualTo("my0");
            }
        }
    }

    /// The user's repository is a mirror that is read, and nothing is written to.
    private void writeSettings(Path users) throws IOException {
        Files.createDirectories(home.resolve(".m2"));
        Files.writeString(
                home.resolve(".m2").resolve("settings.xml"),
                """
                <settings>
                  <mirrors>
                    <mirror>
                      <id>users</id>
                      <mirrorOf>*</mirrorOf>
                      <url>%s</url>
                    </mirror>
                  </mirrors>
                </settings>
                """
                        .formatted(users.toUri()));
    }

    private void install(String artifact, String packaging, @Nullable Class<?> from)
            throws IOException {
        Path folder =
                home.resolve(".m2").resolve("repository/dev/mdev/" + artifact + "/" + VERSION);
        Files.createDirectories(folder);
        Path pom = packaging.equals("pom") ? ROOT : ROOT.resolve(artifact);
        Files.copy(pom.resolve("pom.xml"), folder.resolve(artifact + "-" + VERSION + ".pom"));
        if (from != null) {
            Path jar = folder.resolve(artifact + "-" + VERSION + ".jar");
            Path classes =
                    Path.of(
                            URI.create(
                                    from.getProtectionDomain()
                                            .getCodeSource()
                                            .getLocation()
                                            .toString()));
            if (Files.isDirectory(classes)) {
                pack(classes, "dev/mdev/" + artifact.substring("mdev-".length()), jar);
            } else {
                Files.copy(classes, jar);
            }
        }
    }

    private static void pack(Path classes, String prefix, Path jar) throws IOException {
        try (OutputStream file = Files.newOutputStream(jar);
                JarOutputStream out = new JarOutputStream(file);
                Stream<Path> all = Files.walk(classes.resolve(prefix))) {
            for (Path path : all.filter(Files::isRegularFile).toList()) {
                out.putNextEntry(new JarEntry(classes.relativize(path).toString()));
                Files.copy(path, out);
                out.closeEntry();
            }
        }
    }

    private int run(String commands) throws IOException, InterruptedException {
        ProcessBuilder shell =
                new ProcessBuilder("sh", "-c", commands)
                        .directory(work.toFile())
                        .redirectErrorStream(true)
                        .redirectOutput(home.resolve("output").toFile());
        shell.environment()
                .put(
                        "MAVEN_OPTS",
                        "-Duser.home=%s -Dmaven.repo.local=%s"
                                .formatted(home, home.resolve(".m2").resolve("repository")));
        Process process = shell.start();
        try (InputStream nothing = process.getInputStream()) {
            if (!process.waitFor(14, TimeUnit.MINUTES)) {
                process.descendants().forEach(ProcessHandle::destroyForcibly);
                process.destroyForcibly();
                return -1;
            }
        }
        return process.exitValue();
    }

    private String output() throws IOException {
        return Files.readString(home.resolve("output"));
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.walkFileTree(
                from,
                new SimpleFileVisitor<>() {
                    @Override
                    public FileVisitResult preVisitDirectory(
                            Path folder, BasicFileAttributes attributes) throws IOException {
                        if (folder.endsWith("target")) {
                            return FileVisitResult.SKIP_SUBTREE;
                        }
                        Files.createDirectories(to.resolve(from.relativize(folder)));
                        return FileVisitResult.CONTINUE;
                    }

                    @Override
                    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                            throws IOException {
                        Files.copy(file, to.resolve(from.relativize(file)));
                        return FileVisitResult.CONTINUE;
                    }
                });
    }
}
