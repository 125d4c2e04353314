package dev.mdev.core.loader;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.layout.ParentLayout;
import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Parent;
import dev.mdev.core.driver.DriverText;

import org.jspecify.annotations.Nullable;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// Puts the drivers of a plugin folder on a bus. Each jar has a class loader of its own, so that
/// two drivers may bring different versions of a library; a broken driver does not affect others.
///
/// A driver is trusted with its whole process: its code runs as soon as its jar is loaded. Only
/// trusted users may write to the folder.
public final class DriverLoader implements AutoCloseable {
    /// What is told of a driver's name that is none.
    private static final int MAX_NAME_CHARS = 64;

    private final @Nullable Path folder;
    private final ClassLoader framework;
    private final Duration patience;

    /// Changed by the threads that load, one after the other unless one does not return.
    private final List<URLClassLoader> loaders = new CopyOnWriteArrayList<>();

    /// The jar of each driver on the bus.
    private final Map<String, Path> loaded = new ConcurrentHashMap<>();

    /// @param folder the folder of the jars; null if there is none
    /// @param framework the class loader of the framework
    /// @param patience how long to wait for the code of one jar
    public DriverLoader(@Nullable Path folder, ClassLoader framework, Duration patience) {
        this.folder = folder;
        this.framework = framework;
        this.patience = patience;
    }

    /// Loads every jar of the folder, in the order of their names, and puts its drivers on the bus.
    ///
    /// Each jar is loaded on a thread of its own. A jar whose code does not return is reported and
    /// left behind; if it returns later, its drivers are on the bus all the same.
    ///
    /// @param settings the operator's settings, by the drivers' names
    /// @param builtIn the names that no jar may use
    /// @return a report for each driver
    /// @throws MdevException ENOENT if there is no such folder, EIO if it is unreadable
    public List<DriverReport> addAll(
            MdevBus bus, Map<String, Map<String, String>> settings, Set<String> builtIn) {
        List<DriverReport> reports = new ArrayList<>();
        for (Path jar : jars()) {
            Optional<String> trouble = DriverJar.trouble(jar);
            reports.addAll(
                    trouble.isPresent()
                            ? List.of(DriverReport.failed(jar, Optional.empty(), trouble.get()))
                            : await(jar, () -> addJar(jar, bus, settings, builtIn)));
        }
        return List.copyOf(reports);
    }

    private List<DriverReport> await(Path jar, Supplier<List<DriverReport>> load) {
        CompletableFuture<List<DriverReport>> done = new CompletableFuture<>();
        Thread thread =
                Thread.ofPlatform()
                        .daemon()
                        .name("mdev-load-" + jar.getFileName())
                        .start(() -> {
                            try {
                                done.complete(load.get());
                            } catch (Throwable e) {
                                done.complete(List.of(failed(jar, null, e)));
                            }
                        });
        try {
            return done.get(patience.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            return List.of(
                    DriverReport.failed(
                            jar,
                            Optional.empty(),
                            "its code has not returned within %d ms, on thread %s"
                                    .formatted(patience.toMillis(), thread.getName())));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted while loading " + jar, e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    private static DriverReport failed(Path jar, @Nullable String name, Throwable thrown) {
        return DriverReport.failed(jar, Optional.ofNullable(name), DriverText.of(thrown));
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
            Path jar, MdevBus bus, Map<String, Map<String, String>> settings, Set<String> builtIn) {
        URLClassLoader loader;
        try {
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
                    reports.add(add(jar, provider, bus, settings, builtIn));
                }
            } catch (Throwable e) {
                reports.add(failed(jar, null, e));
                if (!(e instanceof ServiceConfigurationError)) {
                    break;
                }
            }
        }
        if (reports.isEmpty()) {
            reports.add(
                    DriverReport.failed(
                            jar, Optional.empty(), "names no driver that it brings itself"));
        }
        return reports;
    }

    private DriverReport add(
            Path jar,
            ServiceLoader.Provider<ParentDriver> provider,
            MdevBus bus,
            Map<String, Map<String, String>> settings,
            Set<String> builtIn) {
        String name = null;
        try {
            ParentDriver driver = provider.get();
            name = driver.name();
            requireNew(name, builtIn);
            List<String> parents =
                    bus.addDriver(driver, settings.getOrDefault(name, Map.of())).stream()
                            .map(Parent::name)
                            .toList();
            loaded.put(name, jar);
            return new DriverReport(jar, Optional.of(name), parents, Optional.empty());
        } catch (Throwable e) {
            return failed(jar, name == null ? null : DriverText.cut(name, MAX_NAME_CHARS), e);
        }
    }

    private void requireNew(@Nullable String name, Set<String> builtIn) {
        if (name == null || !ParentLayout.isDriverName(name)) {
            throw new MdevException(
                    Errno.EINVAL,
                    "not the name of a driver: " + DriverText.cut(name, MAX_NAME_CHARS));
        }
        if (builtIn.contains(name)) {
            throw new MdevException(
                    Errno.EEXIST, "driver=%s is one of the host's own".formatted(name));
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
