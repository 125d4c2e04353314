package dev.mdev.core.loader;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/// What came of one driver, or of a jar in which there is none.
///
/// @param jar the jar
/// @param driver the driver's name, if it got so far as to say it
/// @param parents the names of the parents that it put on the bus
/// @param trouble why it did not, if it did not
public record DriverReport(
        Path jar, Optional<String> driver, List<String> parents, Optional<String> trouble) {
    public DriverReport {
        parents = List.copyOf(parents);
    }

    static DriverReport failed(Path jar, Optional<String> driver, String why) {
        return new DriverReport(jar, driver, List.of(), Optional.of(why));
    }
}
