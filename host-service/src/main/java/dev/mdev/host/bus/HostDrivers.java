package dev.mdev.host.bus;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Errno;
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
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/// Finds the drivers on the class path and in the plugin folder, and lets each find its devices,
/// before the first request. A driver that fails, or does not return in time, is recorded and left
/// out; the others work. The plugin folder may get more of them afterwards.
@Component
public final class HostDrivers implements SmartInitializingSingleton {
    private static final Logger log = LoggerFactory.getLogger(HostDrivers.class);

    private final MdevBus bus;
    private final BusProperties properties;
    private final DriverLoader loader;
    private final ObjectProvider<ParentDriver> extra;

    private final ReentrantLock loading = new ReentrantLock();

    /// Of the class path.
    @GuardedBy("loading")
    private List<LoadedDriver> own = List.of();

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
    /// @param source its jar or its class
    /// @param parents the devices that it found when it was loaded
    /// @param trouble why it has none, if it failed, or why it leaves some out; otherwise empty
    public record LoadedDriver(String name, String source, List<String> parents, String trouble) {}

    /// All drivers that were found, including those that failed.
    public List<LoadedDriver> drivers() {
        return drivers;
    }

    @Override
    public void afterSingletonsInstantiated() {
        loading.lock();
        try {
            DriverLoader.Target target = target();
            List<DriverReport> reports = new ArrayList<>();
            ServiceLoader.load(ParentDriver.class).stream()
                    .map(driver -> loader.addBuiltIn(driver.type().getName(), driver, target))
                    .forEach(reports::add);
            extra.orderedStream()
                    .map(driver ->
                            loader.addBuiltIn(driver.getClass().getName(), () -> driver, target))
                    .forEach(reports::add);
            own = reports.stream().map(HostDrivers::loaded).toList();
            own.forEach(HostDrivers::tell);
            drivers = own;
            loadPlugins();
        } catch (MdevException e) {
            LoadedDriver folder =
                    new LoadedDriver("the plugin folder", "", List.of(), e.toString());
            log.error("the plugin folder is left out: {}", folder.trouble());
            drivers = Stream.concat(own.stream(), Stream.of(folder)).toList();
        } finally {
            loading.unlock();
        }
        warnOfUnusedSettings();
    }

    private DriverLoader.Target target() {
        return new DriverLoader.Target(bus, properties.settings());
    }

    /// Loads the jars that came into the plugin folder since it was looked at.
    ///
    /// @return as [#drivers]
    /// @throws MdevException ENOENT if there is no such folder, EIO if it is unreadable, EAGAIN if
    ///   another thread loads
    public List<LoadedDriver> load() {
        if (!loading.tryLock()) {
            throw new MdevException(Errno.EAGAIN, "drivers are being loaded");
        }
        try {
            loadPlugins();
            return drivers;
        } finally {
            loading.unlock();
        }
    }

    @GuardedBy("loading")
    private void loadPlugins() {
        Set<LoadedDriver> before = Set.copyOf(drivers);
        List<LoadedDriver> plugins =
                loader.addAll(target()).stream().map(HostDrivers::loaded).toList();
        plugins.stream().filter(it -> !before.contains(it)).forEach(HostDrivers::tell);
        drivers = Stream.concat(own.stream(), plugins.stream()).toList();
    }

    private static LoadedDriver loaded(DriverReport report) {
        return new LoadedDriver(
                report.driver().orElse(report.source()),
                report.source(),
                report.parents(),
                report.trouble().orElse(""));
    }

    private static void tell(LoadedDriver it) {
        if (it.trouble.isEmpty()) {
            log.info("driver {} of {} has parents {}", it.name, it.source, it.parents);
        } else if (it.parents.isEmpty()) {
            log.error("driver {} of {} is left out: {}", it.name, it.source, it.trouble);
        } else {
            log.error(
                    "driver {} of {} has parents {}, and: {}",
                    it.name,
                    it.source,
                    it.parents,
                    it.trouble);
        }
    }

    private void warnOfUnusedSettings() {
        Set<String> unknown = new TreeSet<>(properties.settings().keySet());
        drivers.forEach(driver -> unknown.remove(driver.name()));
        if (!unknown.isEmpty()) {
            log.warn("settings for drivers that are not here: {}", unknown);
        }
    }
}
