package dev.mdev.host.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.api.page.Page;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.barfile.BarFileSystem;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.springframework.stereotype.Component;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;

/// The engines of this build, each with the kind of memory that its guests need.
@Component
public final class Engines {
    private static final String AUTO = "auto";
    private static final String SOFTWARE = "software";
    private static final String KVM = "kvm";

    private final List<Option> options;
    private final String chosen;

    Engines(BusProperties properties, SoftwareProperties machine) {
        // A fault that waits for another on the same page waits for that one's driver call, which
        // in turn may wait for its turn.
        Duration patience = properties.driverDeadline().multipliedBy(2);
        Option software =
                new Option(
                        SOFTWARE,
                        () -> new SoftwareEngine(patience, machine.options()),
                        Engines::anyMemory);
        Option kvm = new Option(KVM, () -> new KvmEngine(patience), MemfdMemory::new);
        options = List.of(software, kvm);
        chosen = properties.engine().equals(AUTO) ? best(kvm) : properties.engine();
    }

    /// Memory that is reserved, and given back when it is scrubbed, where the system has such.
    private static MemoryBackend anyMemory() {
        try {
            MemoryBackend reserved = new MemfdMemory();
            reserved.allocate("probe", Page.SIZE).release();
            return reserved;
        } catch (MdevException | LinkageError e) {
            return new OffHeapBackend();
        }
    }

    /// Real virtual processors where they work, otherwise the engine that works everywhere.
    private static String best(Option kvm) {
        return probe(kvm).isAvailable() ? KVM : SOFTWARE;
    }

    /// An engine that is made on demand, because making one may load native code.
    private record Option(
            String name,
            Supplier<? extends Engine> engine,
            Supplier<? extends MemoryBackend> memory) {}

    /// What an engine needs, and what it finds here.
    ///
    /// @param chosen whether the operator chose it
    public record Report(String name, boolean chosen, EngineProbe probe) {}

    /// The state of all engines, whether they work here or not.
    public List<Report> reports() {
        List<Report> reports = new ArrayList<>();
        for (Option option : options) {
            reports.add(new Report(option.name, option.name.equals(chosen), probe(option)));
        }
        return reports;
    }

    /// What machines of other processes need, and what is found here.
    public EngineProbe barFiles() {
        return probe(BarFileSystem::probe);
    }

    private static EngineProbe probe(Option option) {
        return probe(() -> option.engine.get().probe());
    }

    private static EngineProbe probe(Supplier<EngineProbe> probe) {
        try {
            return probe.get();
        } catch (MdevException | LinkageError e) {
            return new EngineProbe(
                    List.of(
                            new EngineProbe.Finding(
                                    "Linux, and a place for native code",
                                    false,
                                    e.toString(),
                                    "run on Linux; let java.io.tmpdir be writable and"
                                            + " executable")));
        }
    }

    /// Makes the engine that the operator chose.
    ///
    /// @throws MdevException EINVAL for an unknown name; ENODEV if it does not work here, with the
    ///   missing requirement
    Engine engine() {
        Option option = chosenOption();
        List<String> missing =
                probe(option).findings().stream()
                        .filter(finding -> !finding.met())
                        .map(Engines::words)
                        .toList();
        if (!missing.isEmpty()) {
            throw new MdevException(
                    Errno.ENODEV, "engine=%s does not work here: %s".formatted(chosen, missing));
        }
        return option.engine.get();
    }

    /// Makes the memory that the chosen engine needs.
    MemoryBackend memory() {
        return chosenOption().memory.get();
    }

    private Option chosenOption() {
        return options.stream()
                .filter(option -> option.name.equals(chosen))
                .findFirst()
                .orElseThrow(() ->
                        new MdevException(
                                Errno.EINVAL,
                                "mdev.engine=%s known=%s"
                                        .formatted(
                                                chosen,
                                                Stream.concat(
                                                                Stream.of(AUTO),
                                                                options.stream().map(Option::name))
                                                        .toList())));
    }

    private static String words(EngineProbe.Finding finding) {
        return "%s: %s; %s".formatted(finding.need(), finding.detail(), finding.remedy());
    }
}
