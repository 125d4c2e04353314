package dev.mdev.host.doctor;

import dev.mdev.core.bus.MdevBus;
import dev.mdev.core.device.Activity;
import dev.mdev.core.driver.CallReport;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.ledger.Ledger;
import dev.mdev.core.ledger.QuarantinedDefinition;
import dev.mdev.core.ledger.Unfinished;
import dev.mdev.core.ledger.Verb;
import dev.mdev.host.bus.BusProperties;
import dev.mdev.host.bus.Engines;
import dev.mdev.host.bus.HostDrivers;
import dev.mdev.host.bus.RequiredParents;
import dev.mdev.host.desired.DesiredFolder;
import dev.mdev.host.event.Trouble;
import dev.mdev.host.event.Troubles;

import org.jspecify.annotations.Nullable;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RestController;

import java.util.List;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/// `/api/v1/doctor`.
@RestController
@RequestMapping("/api/v1/doctor")
class DoctorController {
    private final Engines engines;
    private final HostDrivers drivers;
    private final BusProperties properties;
    private final MdevBus bus;
    private final Troubles troubles;
    private final RequiredParents required;
    private final DesiredFolder documents;

    DoctorController(
            Engines engines,
            HostDrivers drivers,
            BusProperties properties,
            MdevBus bus,
            Troubles troubles,
            RequiredParents required,
            DesiredFolder documents) {
        this.engines = engines;
        this.troubles = troubles;
        this.required = required;
        this.documents = documents;
        this.drivers = drivers;
        this.properties = properties;
        this.bus = bus;
    }

    /// The report.
    ///
    /// @param java the Java runtime's version
    /// @param barFiles whether the machines of other processes can map BARs
    /// @param overdue callbacks of devices, parents and drivers that exceed their deadline
    /// @param lost devices that cannot end, and the calls that they are stuck in
    /// @param troubles those of devices that last
    /// @param missingParents the required parents that are not present
    /// @param documents the documents of the start that were refused, and what is not as the others
    ///   say now
    /// @param state the state directory, and its condition at the start
    record Report(
            String java,
            List<EngineReport> engines,
            BarFileReport barFiles,
            List<HostDrivers.LoadedDriver> drivers,
            List<String> overdue,
            List<String> lost,
            List<Trouble> troubles,
            List<String> missingParents,
            List<String> documents,
            StateReport state) {}

    /// The state across restarts.
    ///
    /// @param directory its path; absent if nothing is remembered
    /// @param trouble why the journal cannot be written; changes are refused in the meantime
    /// @param torn whether the last process died while it wrote a line, before it reported success
    /// @param damage the damage of the journal at the start, if it had lost lines; all pages were
    ///   then scrubbed again
    /// @param resolved verbs that the end of the last process interrupted, and that recovery
    ///   completed or undid
    /// @param unfinished running verbs
    /// @param quarantined damaged definition files
    record StateReport(
            @Nullable String directory,
            @Nullable String trouble,
            boolean torn,
            @Nullable String damage,
            List<VerbReport> resolved,
            List<VerbReport> unfinished,
            List<QuarantinedDefinition> quarantined) {}

    /// A verb of several steps.
    record VerbReport(Verb verb, UUID mdev, String parent, List<String> steps) {
        static VerbReport of(Unfinished verb) {
            return new VerbReport(
                    verb.verb(), verb.subject().uuid(), verb.subject().parent(), verb.steps());
        }
    }

    /// One engine.
    ///
    /// @param inUse whether machines run on it
    /// @param available whether it works here
    record EngineReport(
            String name, boolean inUse, boolean available, List<EngineProbe.Finding> findings) {}

    /// BARs as files.
    ///
    /// @param available whether they work here
    record BarFileReport(boolean available, List<EngineProbe.Finding> findings) {}

    @GetMapping
    Report report() {
        return new Report(
                Runtime.version().toString(),
                engines.reports().stream().map(DoctorController::report).toList(),
                barFiles(engines.barFiles()),
                drivers.drivers(),
                bus.overdueCalls().stream().map(DoctorController::words).toList(),
                bus.statuses().stream()
                        .filter(it -> it.activity() == Activity.LOST)
                        .map(it -> "mdev=%s %s".formatted(it.uuid(), it.trouble().orElse("")))
                        .toList(),
                troubles.all(),
                required.missing(),
                documents.troubles(),
                state());
    }

    private static String words(CallReport call) {
        return "%s %s for %d ms on thread %s"
                .formatted(
                        call.owner(),
                        call.callback(),
                        TimeUnit.NANOSECONDS.toMillis(call.durationNanos()),
                        call.threadName());
    }

    private StateReport state() {
        Ledger.Opening opening = bus.opening();
        return new StateReport(
                properties.stateDir() == null
                        ? null
                        : properties.stateDir().toAbsolutePath().toString(),
                bus.journalFailure().orElse(null),
                opening.torn(),
                opening.damage().orElse(null),
                opening.unfinished().stream().map(VerbReport::of).toList(),
                bus.unfinished().stream().map(VerbReport::of).toList(),
                bus.quarantined());
    }

    private static BarFileReport barFiles(EngineProbe probe) {
        return new BarFileReport(probe.isAvailable(), probe.findings());
    }

    private static EngineReport report(Engines.Report engine) {
        return new EngineReport(
                engine.name(),
                engine.chosen(),
                engine.probe().isAvailable(),
                engine.probe().findings());
    }
}
