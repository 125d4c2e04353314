package dev.mdev.host.bus;

import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.loader.DriverLoader;
import dev.mdev.core.loader.DriverReport;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.stereotype.Component;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;

/// Finds the drivers on the class path and in the plugin folder, and lets each find its devices,
/// before the first request. A driver that fails, or does not return in time, is recorded and left
/// out; the others work.
@Component
public final class HostDrivers implements SmartInitializingSingleton {
    private static final Logger log = LoggerFactory.getLogger(HostDrivers.class);

    private final MdevBus bus;
    private final BusProperties properties;
    private final DriverLoader loader;
    private final ObjectProvider<ParentDriver> extra;

    private volatile List<LoadedDriver> drivers = List.of();

    HostDrivers(
            MdevBus bus,
            BusProperties properties,
            DriverLoader loader,
            ObjectProvider<ParentDriver> extra) {
        this.bus = bus;
        this.properties = properties;
        this.loader = loader;
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
        DriverLoader.Target target = new DriverLoader.Target(bus, properties.settings());
        List<DriverReport> reports = new ArrayList<>();
        ServiceLoader.load(ParentDriver.class).stream()
                .map(driver -> loader.addBuiltIn(driver.type().getName(), driver, target))
                .forEach(reports::add);
        extra.orderedStream()
                .map(driver -> loader.addBuiltIn(driver.getClass().getName(), () -> driver, target))
                .forEach(reports::add);
        try {
            reports.addAll(loader.addAll(target));
        } catch (MdevException e) {
            reports.add(
                    new DriverReport(
                            "the plugin folder",
                            Optional.empty(),
                            List.of(),
                            Optional.of(e.toString())));
        }
        drivers = reports.stream().map(HostDrivers::loaded).toList();
        warnOfUnusedSettings();
    }

    private static LoadedDriver loaded(DriverReport report) {
        String name = report.driver().orElse(report.source());
        String trouble = report.trouble().orElse("");
        if (trouble.isEmpty()) {
            log.info("driver {} of {} has parents {}", name, report.source(), report.parents());
        } else {
            log.error("driver {} of {} is left out: {}", name, report.source(), trouble);
        }
        return new LoadedDriver(name, report.parents(), trouble);
    }

    private void warnOfUnusedSettings() {
        Set<String> unknown = new TreeSet<>(properties.settings().keySet());
        drivers.forEach(driver -> unknown.remove(driver.name()));
        if (!unknown.isEmpty()) {
            log.warn("settings for drivers that are not here: {}", unknown);
        }
    }
}
