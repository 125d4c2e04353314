package dev.mdev.core.loader;

import java.util.List;
import java.util.Optional;

/// The result for one driver, or for a jar without one.
///
/// @param source the jar's file name; the class of a driver of the host's own
/// @param driver the driver's name, if known
/// @param parents the names of its parents on the bus
/// @param trouble the reason of a failure, or what it says of devices that it leaves out; if any
public record DriverReport(
        String source, Optional<String> driver, List<String> parents, Optional<String> trouble) {
    public DriverReport {
        parents = List.copyOf(parents);
    }

    /// The same with one more trouble.
    DriverReport withTrouble(String more) {
        return new DriverReport(
                source,
                driver,
                parents,
                Optional.of(trouble.map(before -> before + "; " + more).orElse(more)));
    }

    static DriverReport failed(String source, Optional<String> driver, String why) {
        return new DriverReport(source, driver, List.of(), Optional.of(why));
    }
}
