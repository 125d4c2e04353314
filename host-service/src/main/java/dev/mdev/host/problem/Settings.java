package dev.mdev.host.problem;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.source.ConfigurationPropertyName;
import org.springframework.context.ApplicationContext;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.EnumerablePropertySource;
import org.springframework.core.env.PropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.stereotype.Component;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;

/// Stops the start at a setting that nothing reads: the default would silently replace a limit
/// whose name is misspelt.
///
/// The settings are the components of the records that Spring binds to `mdev` and to prefixes below
/// it. Environment variables and system properties are not checked: others own some of them.
@Component
final class Settings {
    private static final ConfigurationPropertyName OURS = ConfigurationPropertyName.of("mdev");
    private static final Set<String> OF_OTHERS =
            Set.of(
                    StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                    StandardEnvironment.SYSTEM_PROPERTIES_PROPERTY_SOURCE_NAME);

    /// @throws MdevException EINVAL if there is such a setting
    Settings(ConfigurableEnvironment environment, ApplicationContext context) {
        List<ConfigurationPropertyName> known =
                context.getBeansWithAnnotation(ConfigurationProperties.class).values().stream()
                        .flatMap(bean -> settingsOf(bean.getClass()))
                        .toList();
        TreeSet<String> unknown = new TreeSet<>();
        for (PropertySource<?> source : environment.getPropertySources()) {
            if (source instanceof EnumerablePropertySource<?> names
                    && !OF_OTHERS.contains(source.getName())) {
                Arrays.stream(names.getPropertyNames())
                        .map(name -> ConfigurationPropertyName.adapt(name, '.'))
                        .filter(OURS::isAncestorOf)
                        .filter(name -> known.stream().noneMatch(it -> covers(it, name)))
                        .forEach(name -> unknown.add(name.toString()));
            }
        }
        if (!unknown.isEmpty()) {
            throw new MdevException(
                    Errno.EINVAL, "there is no setting " + String.join(", ", unknown));
        }
    }

    /// Lists and maps have names below their own.
    private static boolean covers(
            ConfigurationPropertyName setting, ConfigurationPropertyName name) {
        return setting.equals(name) || setting.isAncestorOf(name);
    }

    private static Stream<ConfigurationPropertyName> settingsOf(Class<?> type) {
        ConfigurationProperties bound = type.getAnnotation(ConfigurationProperties.class);
        if (bound == null || !type.isRecord()) {
            return Stream.empty();
        }
        ConfigurationPropertyName prefix = ConfigurationPropertyName.of(bound.value());
        return Arrays.stream(type.getRecordComponents())
                .map(component -> prefix.append(dashed(component.getName())));
    }

    /// `maxRam` is `max-ram`.
    private static String dashed(String name) {
        return name.replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
    }
}
