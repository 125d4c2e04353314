package dev.mdev.host.bus;

import dev.mdev.api.Errno;
import dev.mdev.api.MdevException;
import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.software.SoftwareEngine;

import org.springframework.stereotype.Component;

import java.util.List;

/// The engines this build has.
@Component
public final class Engines {
    private final List<Engine> all;

    Engines(BusProperties properties) {
        // A fault that waits for another on the same page waits for that one's driver call, which
        // in turn may wait for its turn.
        all = List.of(new SoftwareEngine(properties.driverDeadline().multipliedBy(2)));
    }

    /// All engines, whether they work here or not.
    public List<Engine> all() {
        return all;
    }

    /// The engine of that name.
    ///
    /// @throws MdevException EINVAL if there is none, ENODEV if it does not work here, saying what
    ///   is missing
    Engine require(String name) {
        Engine engine =
                all.stream()
                        .filter(candidate -> candidate.name().equals(name))
                        .findFirst()
                        .orElseThrow(() ->
                                new MdevException(
                                        Errno.EINVAL,
                                        "mdev.engine=%s known=%s"
                                                .formatted(
                                                        name,
                                                        all.stream().map(Engine::name).toList())));
        List<String> missing =
                engine.probe().findings().stream()
                        .filter(finding -> !finding.met())
                        .map(Engines::words)
                        .toList();
        if (!missing.isEmpty()) {
            throw new MdevException(
                    Errno.ENODEV, "engine=%s does not work here: %s".formatted(name, missing));
        }
        return engine;
    }

    private static String words(EngineProbe.Finding finding) {
        return "%s: %s; %s".formatted(finding.need(), finding.detail(), finding.remedy());
    }
}
