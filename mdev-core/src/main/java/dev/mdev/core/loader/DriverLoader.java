package dev.mdev.core.loader;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.jar.JarFile;
import java.util.stream.Stream;

/// Puts the drivers of a plugin folder on a bus. Each jar has a class loader of its own, so that
/// two drivers may bring different versions of a library; a broken driver does not affect others.
///
/// A driver is trusted with its whole process: its code runs as soon as its jar is loaded. Only
/// trusted users may write to the folder.
public final class DriverLoader implements AutoCloseable {
    private static final String SERVICE = "META-INF/services/" + ParentDriver.class.getName();

    private final @Nullable Path folder;
    private final ClassLoader framework;
    private final List<URLClassLoader> loaders = new ArrayList<>();

    /// The jar of each driver on the bus.
    private final Map<String, Path> loaded = new HashMap<>();

    /// @param folder where the jars are; null if there are none
    /// @param framework the class loader that drivers see the framework by
    public DriverLoader(@Nullable Path folder, ClassLoader framework) {
        this.folder = folder;
        this.framework = framework;
    }

    /// Loads every jar of the folder, in the order of their names, and puts its drivers on the bus.
    ///
    /// @param settings the operator's settings, by the drivers' names
    /// @return a report for each driver
    /// @throws MdevException ENOENT if there is no such folder, EIO if it is unreadable
    public List<DriverReport> addAll(MdevBus bus, Map<String, Map<String, String>> settings) {
        List<DriverReport> reports = new ArrayList<>();
        for (Path jar : jars()) {
            reports.addAll(addJar(jar, bus, settings));
        }
        return List.copyOf(reports);
    }

    private List<Path> jars() {
        if (folder == null) {
            return List.of();
        }
        if (!Files.isDirectory(folder)) {
            throw new MdevException(Errno.ENOENT, "no such folder: " + folder);
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.filter(file -> file.getFileName().toString().endsWith(".jar"))
                    .sorted()
                    .toList();
        } catch (IOException e) {
            throw new MdevException(Errno.EIO, "cannot list folder=%s".formatted(folder), e);
        }
    }

    private List<DriverReport> addJar(
            Path jar, MdevBus bus, Map<String, Map<String, String>> settings) {
        URLClassLoader loader;
        try {
            requireDrivers(jar);
            loader =
                    new URLClassLoader(
                            jar.getFileName().toString(),
                            new URL[] {jar.toUri().toURL()},
                            framework);
        } catch (IOException e) {
            return List.of(DriverReport.failed(jar, Optional.empty(), "not a driver jar: " + e));
        }
        loaders.add(loader);
        List<DriverReport> reports = new ArrayList<>();
        Iterator<ServiceLoader.Provider<ParentDriver>> providers =
                ServiceLoader.load(ParentDriver.class, loader).stream().iterator();
        while (true) {
            // Each step runs or links code of the jar.
            try {
                if (!providers.hasNext()) {
                    break;
                }
                ServiceLoader.Provider<ParentDriver> provider = providers.next();
                // The framework's own drivers are visible through every loader.
                if (loader.equals(provider.type().getClassLoader())) {
                    reports.add(add(jar, provider, bus, settings));
                }
            } catch (ServiceConfigurationError | LinkageError | RuntimeException e) {
                reports.add(DriverReport.failed(jar, Optional.empty(), "does not load: " + e));
            }
        }
        if (reports.isEmpty()) {
            reports.add(
                    DriverReport.failed(
                            jar, Optional.empty(), "names no driver that it brings itself"));
        }
        return reports;
    }

    private static void requireDrivers(Path jar) throws IOException {
        try (JarFile file = new JarFile(jar.toFile())) {
            if (file.getEntry(SERVICE) == null) {
                throw new IOException("no " + SERVICE);
            }
        }
    }

    private DriverReport add(
            Path jar,
            ServiceLoader.Provider<ParentDriver> provider,
            MdevBus bus,
            Map<String, Map<String, String>> settings) {
        String name = null;
        try {
            ParentDriver driver = provider.get();
            name = driver.name();
            requireNew(name);
            List<String> parents =
                    bus.addDriver(driver, settings.getOrDefault(name, Map.of())).stream()
                            .map(Parent::name)
                            .toList();
            loaded.put(name, jar);
            return new DriverReport(jar, Optional.of(name), parents, Optional.empty());
        } catch (ServiceConfigurationError | LinkageError | RuntimeException e) {
            return DriverReport.failed(jar, Optional.ofNullable(name), e.toString());
        }
    }

    private void requireNew(@Nullable String name) {
        if (name == null || !ParentLayout.isDriverName(name)) {
            throw new MdevException(Errno.EINVAL, "not the name of a driver: " + name);
        }
        Path other = loaded.get(name);
        if (other != null) {
            throw new MdevException(
                    Errno.EEXIST, "driver=%s is already loaded, from %s".formatted(name, other));
        }
    }

    /// Closes the jars, after the bus is closed: code of drivers cannot be loaded any more.
    ///
    /// @throws MdevException EIO if one cannot be closed
    @Override
    public void close() {
        MdevException trouble = new MdevException(Errno.EIO, "cannot close jars: " + folder);
        for (URLClassLoader loader : loaders) {
            try {
                loader.close();
            } catch (IOException e) {
                trouble.addSuppressed(e);
            }
        }
        loaders.clear();
        if (trouble.getSuppressed().length > 0) {
            throw trouble;
        }
    }
}
