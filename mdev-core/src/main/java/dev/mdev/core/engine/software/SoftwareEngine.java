package dev.mdev.core.engine.software;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;

import java.time.Duration;
import java.util.List;

/// The engine in pure Java.
public final class SoftwareEngine implements Engine {
    private final Duration fillTimeout;

    /// @param fillTimeout the maximum wait for another fault on the same page
    public SoftwareEngine(Duration fillTimeout) {
        this.fillTimeout = fillTimeout;
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
    public SoftwareGuest createGuest(AddressSpaces slots, HostMemory memory) {
        return new SoftwareGuest(
                slots, new HostMm(new SoftwarePageTable(), memory, fillTimeout), true);
    }
}
