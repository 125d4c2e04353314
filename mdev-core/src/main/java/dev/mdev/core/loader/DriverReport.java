package dev.mdev.core.loader;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// The result for one driver, or for a jar without one.
///
/// @param jar the jar
/// @param driver the driver's name, if known
/// @param parents the names of its parents on the bus
/// @param trouble the reason of a failure, if any
public record DriverReport(
        Path jar, Optional<String> driver, List<String> parents, Optional<String> trouble) {
    public DriverReport {
        parents = List.copyOf(parents);
    }

    static DriverReport failed(Path jar, Optional<String> driver, String why) {
        return new DriverReport(jar, driver, List.of(), Optional.of(why));
    }
}
