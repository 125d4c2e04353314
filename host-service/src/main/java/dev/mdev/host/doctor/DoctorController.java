package dev.mdev.host.doctor;

import dev.mdev.core.device.MdevBus;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.host.bus.DriverLoader;
import dev.mdev.host.bus.Engines;

import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.util.List;

/// `/api/v1/doctor`.
@RestController
@RequestMapping("/api/v1/doctor")
class DoctorController {
    private final Engines engines;
    private final DriverLoader drivers;
    private final MdevBus bus;

    DoctorController(Engines engines, DriverLoader drivers, MdevBus bus) {
        this.engines = engines;
        this.drivers = drivers;
        this.bus = bus;
    }

    /// The report.
    ///
    /// @param java the Java runtime's version
    /// @param overdue driver callbacks that have been running for longer than they may
    record Report(
            String java,
            List<EngineReport> engines,
            List<DriverLoader.LoadedDriver> drivers,
            List<String> overdue) {}

    /// One engine.
    ///
    /// @param inUse whether machines run on it
    /// @param available whether it works here
    record EngineReport(
            String name, boolean inUse, boolean available, List<EngineProbe.Finding> findings) {}

    @GetMapping
    Report report() {
        return new Report(
                Runtime.version().toString(),
                engines.reports().stream().map(DoctorController::report).toList(),
                drivers.drivers(),
                bus.mdevs().stream()
                        .flatMap(mdev ->
                                mdev.overdueCallback().stream()
                                        .map(call -> "mdev=%s %s".formatted(mdev.uuid(), call)))
                        .toList());
    }

    private static EngineReport report(Engines.Report engine) {
        return new EngineReport(
                engine.name(),
                engine.chosen(),
                engine.probe().isAvailable(),
                engine.probe().findings());
    }
}
