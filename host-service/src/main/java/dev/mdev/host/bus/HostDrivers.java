package dev.mdev.host.bus;

import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;
import dev.mdev.core.loader.DriverLoader;
import dev.mdev.core.loader.DriverReport;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.stereotype.Component;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.stream.Collectors;

/// Finds the drivers on the class path and in the plugin folder, and lets each find its devices,
/// before the first request. A driver that fails is recorded and left out; the others work.
@Component
public final class HostDrivers implements SmartInitializingSingleton {
    private static final Logger log = LoggerFactory.getLogger(HostDrivers.class);

    private final MdevBus bus;
    private final BusProperties properties;
    private final DriverLoader plugins;
    private final ObjectProvider<ParentDriver> extra;

    private volatile List<LoadedDriver> drivers = List.of();

    HostDrivers(
            MdevBus bus,
            BusProperties properties,
            DriverLoader plugins,
            ObjectProvider<ParentDriver> extra) {
        this.bus = bus;
        this.properties = properties;
        this.plugins = plugins;
        this.extra = extra;
    }

    /// The result for a driver.
    ///
    /// @param name the driver's name, or the jar or the class if the name is unknown
    /// @param parents its devices
    /// @param trouble why it has none, if it failed; otherwise empty
    public record LoadedDriver(String name, List<String> parents, String trouble) {}

    /// All drivers that were found, including those that failed.
    public List<LoadedDriver> drivers() {
        return drivers;
    }

    @Override
    public void afterSingletonsInstantiated() {
        List<LoadedDriver> loaded = new ArrayList<>();
        Iterator<ServiceLoader.Provider<ParentDriver>> found =
                ServiceLoader.load(ParentDriver.class).stream().iterator();
        while (true) {
            try {
                if (!found.hasNext()) {
                    break;
                }
                loaded.add(load(found.next().get()));
            } catch (ServiceConfigurationError | LinkageError e) {
                log.error("a driver cannot be made", e);
                loaded.add(new LoadedDriver("unknown", List.of(), e.toString()));
            }
        }
        extra.orderedStream().map(this::load).forEach(loaded::add);
        Set<String> builtIn =
                loaded.stream().map(LoadedDriver::name).collect(Collectors.toUnmodifiableSet());
        loaded.addAll(loadPlugins(builtIn));
        drivers = List.copyOf(loaded);
        List<String> unknown =
                properties.drivers() == null
                        ? List.of()
                        : properties.drivers().keySet().stream()
                                .filter(name ->
                                        loaded.stream()
                                                .noneMatch(driver -> driver.name().equals(name)))
                                .toList();
        if (!unknown.isEmpty()) {
            log.warn("settings for drivers that are not here: {}", unknown);
        }
    }

    private List<LoadedDriver> loadPlugins(Set<String> builtIn) {
        try {
            return plugins.addAll(bus, properties.settings(), builtIn).stream()
                    .map(HostDrivers::plugin)
                    .toList();
        } catch (MdevException e) {
            log.error("the plugin folder is left out: {}", e.toString());
            return List.of(
                    new LoadedDriver(
                            String.valueOf(properties.pluginDir()), List.of(), e.toString()));
        }
    }

    private static LoadedDriver plugin(DriverReport report) {
        String jar = String.valueOf(report.jar().getFileName());
        String name = report.driver().orElse(jar);
        String trouble = report.trouble().orElse("");
        if (trouble.isEmpty()) {
            log.info("driver {} of {} has parents {}", name, jar, report.parents());
        } else {
            log.error("driver {} of {} is left out: {}", name, jar, trouble);
        }
        return new LoadedDriver(name, report.parents(), trouble);
    }

    private LoadedDriver load(ParentDriver driver) {
        String name = driver.getClass().getName();
        try {
            name = Objects.requireNonNull(driver.name(), "a driver's name");
            List<String> parents =
                    bus.addDriver(driver, properties.settingsOf(name)).stream()
                            .map(Parent::name)
                            .toList();
            log.info("driver {} has parents {}", name, parents);
            return new LoadedDriver(name, parents, "");
        } catch (MdevException e) {
            log.error("driver {} is left out: {}", name, e.toString());
            return new LoadedDriver(name, List.of(), e.toString());
        } catch (RuntimeException | LinkageError e) {
            log.error("driver {} is left out", name, e);
            return new LoadedDriver(name, List.of(), e.toString());
        }
    }
}
