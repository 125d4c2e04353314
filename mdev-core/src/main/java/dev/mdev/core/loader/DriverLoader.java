package dev.mdev.core.loader;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;
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
import java.util.HashMap;
import java.util.HashSet;
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

/// Puts drivers on a bus: the host's own, and those of a plugin folder. Each jar has a class loader
/// of its own, so that two drivers may bring different versions of a library; a broken driver does
/// not affect others.
///
/// The code of each driver runs on a thread of its own. A driver that does not return in time is
/// reported and left behind; if it returns later, its devices are on the bus all the same.
///
/// The folder may get more jars while the host runs. The code of a jar is loaded once: a jar that
/// changes afterwards is reported, and its drivers stay as they are. A jar that brought no driver
/// is looked at again.
///
/// A driver is trusted with its whole process: its code runs as soon as its jar is loaded. Only
/// trusted users may write to the folder.
///
/// One thread at a time calls [#addBuiltIn], [#addAll] and [#close].
public final class DriverLoader implements AutoCloseable {
    /// The drivers without a parent that are named; the others are counted.
    static final int MAX_NAMED = 100;

    private final @Nullable Path folder;
    private final ClassLoader framework;
    private final Duration patience;

    /// Changed by the threads that load, one after the other unless one does not return.
    private final List<URLClassLoader> loaders = new CopyOnWriteArrayList<>();

    /// The sources of the drivers, by their names.
    private final Map<String, String> sources = new ConcurrentHashMap<>();

    /// The jars whose code was loaded, by the names of their files.
    private final Map<String, Loaded> jars = new HashMap<>();

    /// The names of the host's own drivers, also of those that failed.
    private final Set<String> builtIn = ConcurrentHashMap.newKeySet();

    /// @param folder the folder of the jars; null if there is none
    /// @param framework the class loader of the framework
    /// @param patience how long to wait for the code of one jar
    public DriverLoader(@Nullable Path folder, ClassLoader framework, Duration patience) {
        this.folder = folder;
        this.framework = framework;
        this.patience = patience;
    }

    /// Where drivers go.
    ///
    /// @param settings the operator's settings, by the drivers' names
    public record Target(MdevBus bus, Map<String, Map<String, String>> settings) {}

    /// A jar whose code runs, or ran.
    ///
    /// @param digest of its content then
    private record Loaded(String digest, Loading loading) {}

    /// A thread that runs code of drivers.
    private record Loading(
            String source, Thread thread, CompletableFuture<List<DriverReport>> done) {}

    /// Puts a driver of the host's own on the bus. No jar may use its name.
    ///
    /// @param source its class, for messages
    public DriverReport addBuiltIn(String source, Supplier<ParentDriver> driver, Target target) {
        return await(begin(source, () -> List.of(add(source, driver, true, target))), patience)
                .getFirst();
    }

    /// Loads every jar of the folder that is not loaded yet, in the order of their names, and puts
    /// its drivers on the bus. After the host's own drivers.
    ///
    /// @return a report for each driver of the folder, now and before; of those that have a trouble
    ///   and no parent, the first [#MAX_NAMED], and one report that counts the others
    /// @throws MdevException ENOENT if there is no such folder, EIO if it is unreadable
    public List<DriverReport> addAll(Target target) {
        Reports reports = new Reports();
        Set<String> present = new HashSet<>();
        for (Path jar : files()) {
            String source = String.valueOf(jar.getFileName());
            present.add(source);
            Loaded before = jars.get(source);
            reports.addAll(
                    before == null ? addNew(source, jar, target) : reportsOf(before, jar, target));
        }
        // Its code runs on, and its devices are used.
        jars.forEach((source, loaded) -> {
            if (!present.contains(source)) {
                reports.addAll(
                        told(loaded, "is not in the folder any more; its drivers stay loaded"));
            }
        });
        return reports.inAll(String.valueOf(folder));
    }

    /// What an operator is told of a folder, however many bad jars are in it.
    private static final class Reports {
        private final List<DriverReport> named = new ArrayList<>();
        private int useless;

        void addAll(List<DriverReport> reports) {
            for (DriverReport report : reports) {
                boolean isUseless = report.trouble().isPresent() && report.parents().isEmpty();
                if (isUseless) {
                    useless++;
                }
                if (!isUseless || useless <= MAX_NAMED) {
                    named.add(report);
                }
            }
        }

        List<DriverReport> inAll(String folder) {
            if (useless > MAX_NAMED) {
                named.add(
                        DriverReport.failed(
                                folder,
                                Optional.empty(),
                                "%d more drivers have troubles and no parent"
                                        .formatted(useless - MAX_NAMED)));
            }
            return List.copyOf(named);
        }
    }

    private List<DriverReport> addNew(String source, Path jar, Target target) {
        Optional<String> trouble = DriverJar.trouble(jar);
        if (trouble.isPresent()) {
            return List.of(
                    DriverReport.failed(source, Optional.empty(), DriverText.cut(trouble.get())));
        }
        String digest;
        try {
            digest = DriverJar.digest(jar);
        } catch (IOException e) {
            return List.of(DriverReport.failed(source, Optional.empty(), "not a driver jar: " + e));
        }
        Loading loading = begin(source, () -> addJar(source, jar, target));
        jars.put(source, new Loaded(digest, loading));
        return await(loading, patience);
    }

    private List<DriverReport> reportsOf(Loaded loaded, Path jar, Target target) {
        String source = loaded.loading.source;
        try {
            if (DriverJar.digest(jar).equals(loaded.digest)) {
                return await(loaded.loading, Duration.ZERO);
            }
        } catch (IOException e) {
            return told(loaded, "cannot be read any more: " + e);
        }
        boolean isUsed = !loaded.loading.done.isDone() || sources.containsValue(source);
        return isUsed
                ? told(
                        loaded,
                        "changed after it was loaded: its drivers stay as they were until the"
                                + " service starts again")
                : addNew(source, jar, target);
    }

    private List<DriverReport> told(Loaded loaded, String news) {
        return await(loaded.loading, Duration.ZERO).stream()
                .map(report -> report.withTrouble(loaded.loading.source + " " + news))
                .toList();
    }

    private static Loading begin(String source, Supplier<List<DriverReport>> load) {
        CompletableFuture<List<DriverReport>> done = new CompletableFuture<>();
        Thread thread =
                Thread.ofPlatform()
                        .daemon()
                        .name("mdev-load-" + source)
                        .start(() -> {
                            try {
                                done.complete(load.get());
                            } catch (Throwable e) {
                                done.complete(List.of(failed(source, null, e)));
                            }
                        });
        return new Loading(source, thread, done);
    }

    private List<DriverReport> await(Loading loading, Duration atMost) {
        try {
            return loading.done.get(atMost.toNanos(), TimeUnit.NANOSECONDS);
        } catch (TimeoutException e) {
            return List.of(
                    DriverReport.failed(
                            loading.source,
                            Optional.empty(),
                            "its code has not returned within %d ms, on thread %s"
                                    .formatted(
                                            patience.toMillis(),
                                            DriverText.nameOf(loading.thread))));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new MdevException(Errno.EINTR, "interrupted while loading " + loading.source, e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e);
        }
    }

    private static DriverReport failed(String source, @Nullable String name, Throwable thrown) {
        return DriverReport.failed(source, Optional.ofNullable(name), DriverText.of(thrown));
    }

    private List<Path> files() {
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

    private List<DriverReport> addJar(String source, Path jar, Target target) {
        URLClassLoader loader;
        try {
            loader = new URLClassLoader(source, new URL[] {jar.toUri().toURL()}, framework);
        } catch (IOException e) {
            return List.of(DriverReport.failed(source, Optional.empty(), "not a driver jar: " + e));
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
                    reports.add(add(source, provider, false, target));
                }
            } catch (Throwable e) {
                reports.add(failed(source, null, e));
                if (!(e instanceof ServiceConfigurationError)) {
                    break;
                }
            }
        }
        if (reports.isEmpty()) {
            reports.add(
                    DriverReport.failed(
                            source, Optional.empty(), "names no driver that it brings itself"));
        }
        return reports;
    }

    private DriverReport add(
            String source, Supplier<ParentDriver> made, boolean isBuiltIn, Target target) {
        String name = null;
        try {
            ParentDriver driver = made.get();
            name = driver.name();
            if (isBuiltIn) {
                builtIn.add(name);
            } else {
                requireNew(name, source);
            }
            List<String> leftOut = new CopyOnWriteArrayList<>();
            Map<String, String> settings = target.settings().getOrDefault(name, Map.of());
            List<String> parents =
                    target.bus().addDriver(new Named(name, driver), settings, leftOut::add).stream()
                            .map(Parent::name)
                            .toList();
            Optional<String> trouble =
                    leftOut.isEmpty() ? Optional.empty() : Optional.of(String.join("; ", leftOut));
            return new DriverReport(source, Optional.of(name), parents, trouble);
        } catch (Throwable e) {
            return failed(source, name == null ? null : DriverText.cutName(name), e);
        }
    }

    /// A driver under the name that was checked: it may answer something else later.
    private record Named(String name, ParentDriver driver) implements ParentDriver {
        @Override
        public List<ParentDevice> probe(ParentHost host) {
            return driver.probe(host);
        }

        @Override
        public void close() {
            driver.close();
        }
    }

    /// Takes the name for the source. It keeps it if the driver finds no device: it may look again.
    private void requireNew(@Nullable String name, String source) {
        if (name == null || !ParentLayout.isDriverName(name)) {
            throw new MdevException(
                    Errno.EINVAL, "not the name of a driver: " + DriverText.cutName(name));
        }
        if (builtIn.contains(name)) {
            throw new MdevException(
                    Errno.EEXIST, "driver=%s is one of the host's own".formatted(name));
        }
        String other = sources.putIfAbsent(name, source);
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
