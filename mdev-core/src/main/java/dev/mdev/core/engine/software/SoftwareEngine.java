package dev.mdev.core.engine.software;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.SmmDesign;

import java.time.Duration;
import java.util.List;
import java.util.Optional;

/// The engine in pure Java.
public final class SoftwareEngine implements Engine {
    private final Duration fillTimeout;
    private final SoftwareOptions options;

    /// @param fillTimeout the maximum wait for another fault on the same page
    public SoftwareEngine(Duration fillTimeout) {
        this(fillTimeout, SoftwareOptions.DEFAULT);
    }

    /// @param fillTimeout the maximum wait for another fault on the same page
    /// @param options the machine that it plays
    public SoftwareEngine(Duration fillTimeout, SoftwareOptions options) {
        this.fillTimeout = fillTimeout;
        this.options = options;
    }

    @Override
    public String name() {
        return "software";
    }

    @Override
    public EngineProbe probe() {
        return new EngineProbe(
                List.of(new EngineProbe.Finding("a Java runtime", true, "always there", "")));
    }

    @Override
    public int physicalAddressBits() {
        return options.physicalAddressBits();
    }

    @Override
    public Optional<String> lacksSmm(SmmDesign design) {
        return Optional.empty();
    }

    @Override
    public SoftwareGuest createGuest(AddressSpaces slots, HostMemory memory) {
        return new SoftwareGuest(
                slots, new HostMm(new SoftwarePageTable(), memory, fillTimeout), options);
    }
}
