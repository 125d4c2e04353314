package dev.mdev.host.bus;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.loader.DriverLoader;
import dev.mdev.core.loader.DriverReport;

import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/// The folder with drivers as jars, if the operator set one.
final class Plugins implements AutoCloseable {
    private final @Nullable DriverLoader loader;

    Plugins(@Nullable Path folder) {
        loader = folder == null ? null : new DriverLoader(folder, Plugins.class.getClassLoader());
    }

    /// Loads every jar and puts its drivers on the bus.
    ///
    /// @return the result for each
    List<DriverReport> addAll(MdevBus bus, Map<String, Map<String, String>> settings) {
        return loader == null ? List.of() : loader.addAll(bus, settings);
    }

    @Override
    public void close() {
        if (loader != null) {
            loader.close();
        }
    }
}
