package dev.mdev.host;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.host.bus.BusProperties;

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
    @ValueSource(strings = {"bin/mdev-host", "docker-entrypoint.sh", "Dockerfile"})
    void theirVariablesAreNoSettingsOfTheService(String file) throws IOException {
        Map<String, Object> variables = new TreeMap<>();
        Matcher found = VARIABLE.matcher(Files.readString(Path.of("..", file)));
        while (found.find()) {
            variables.put(found.group(), "/some/folder");
        }

        assertThat(bound(variables)).isEqualTo(bound(Map.of()));
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
