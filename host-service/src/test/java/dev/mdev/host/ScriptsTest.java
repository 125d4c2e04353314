package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import static java.nio.charset.StandardCharsets.UTF_8;
import static java.nio.file.StandardCopyOption.COPY_ATTRIBUTES;

import dev.mdev.host.bus.BusProperties;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.ConfigurationPropertySources;
import org.springframework.core.env.MutablePropertySources;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The files that start the service.
class ScriptsTest {
    private static final Pattern VARIABLE = Pattern.compile("\\bMDEV_[A-Z_]+");

    /// The service also reads its environment: `MDEV_DRIVERS` is the whole of `mdev.drivers` to it,
    /// and a folder's name is not a map.
    @ParameterizedTest
    @ValueSource(strings = {"bin/mdev-host", "bin/mdev", "docker-entrypoint.sh", "Dockerfile"})
    void theirVariablesAreNoSettingsOfTheService(String file) throws IOException {
        Map<String, Object> variables = new TreeMap<>();
        Matcher found = VARIABLE.matcher(Files.readString(Path.of("..", file)));
        while (found.find()) {
            variables.put(found.group(), "/some/folder");
        }

        assertThat(bound(variables)).isEqualTo(bound(Map.of()));
    }

    @Test
    void bothStartsGiveTheMemoryOfAnIdleServiceBack() throws IOException {
        String script = memoryOptions("bin/mdev-host");
        assertThat(script)
                .contains("-XX:G1PeriodicGCInterval=", "-XX:MaxHeapFreeRatio=")
                .isEqualTo(memoryOptions("docker-entrypoint.sh"));
    }

    private static String memoryOptions(String file) throws IOException {
        String text = Files.readString(Path.of("..", file));
        Matcher found = Pattern.compile("^memory=\"([^\"]*)\"", Pattern.MULTILINE).matcher(text);
        assertThat(found.find()).as(file).isTrue();
        assertThat(text).as("%s uses them", file).contains("OnOutOfMemoryError $memory ");
        return found.group(1);
    }

    /// A jar on the class path could replace classes of the framework.
    @Test
    void driversAreInThePluginFolderAndNotOnTheClassPath(@TempDir Path root) throws Exception {
        Path script = Files.createDirectories(root.resolve("bin")).resolve("mdev-host");
        Files.copy(Path.of("..", "bin", "mdev-host"), script, COPY_ATTRIBUTES);
        Path drivers = Files.createDirectory(root.resolve("drivers"));
        Path target = Files.createDirectories(root.resolve("host-service").resolve("target"));
        Files.createFile(target.resolve("host-service-1.jar"));
        Path java = Files.createDirectories(root.resolve("jdk").resolve("bin")).resolve("java");
        Files.writeString(root.resolve("jdk").resolve("release"), "JAVA_VERSION=\"25\"\n");
        Files.writeString(java, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n");
        assertThat(java.toFile().setExecutable(true)).isTrue();

        ProcessBuilder builder = new ProcessBuilder(script.toString(), "--server.port=1");
        builder.environment().put("JAVA_HOME", root.resolve("jdk").toString());
        String options = new String(builder.start().getInputStream().readAllBytes(), UTF_8);

        assertThat(options.lines())
                .contains("-Dmdev.plugin-dir=" + drivers.toRealPath(), "--server.port=1")
                .noneMatch(option -> option.contains("loader.path") || option.equals("-cp"));
        assertThat(Files.readString(Path.of("..", "docker-entrypoint.sh")))
                .contains(
                        "-Dmdev.plugin-dir=/opt/mdev/drivers", "-cp /opt/mdev/mdev-host.jar dev.");
    }

    private static BusProperties bound(Map<String, Object> environment) {
        MutablePropertySources sources = new MutablePropertySources();
        sources.addFirst(
                new SystemEnvironmentPropertySource(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME, environment));
        return new Binder(ConfigurationPropertySources.from(sources))
                .bindOrCreate("mdev", BusProperties.class);
    }
}
