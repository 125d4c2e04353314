package dev.mdev.core.engine.software;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.EngineProbe;
import dev.mdev.core.engine.GuestEngine;
import dev.mdev.core.engine.VcpuEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.HostMm;
import dev.mdev.core.memslot.AddressSpaces;
import dev.mdev.core.memslot.VcpuMemslots;
import dev.mdev.core.mmu.Stage2Mmu;

import java.time.Duration;
import java.util.List;

/// The engine in pure Java.
public final class SoftwareEngine implements Engine {
    private final Duration fillTimeout;

    /// @param fillTimeout the longest one fault waits for another on the same page
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
    public GuestEngine createGuest(AddressSpaces slots, HostMemory memory) {
        HostMm mm = new HostMm(new SoftwarePageTable(), memory, fillTimeout);
        return new Guest(slots, mm, new Stage2Mmu(slots, mm, true));
    }

    private record Guest(AddressSpaces slots, HostMm hostMm, Stage2Mmu mmu) implements GuestEngine {
        @Override
        public VcpuEngine createVcpu(int vcpuId) {
            return new SoftwareVcpu(new VcpuMemslots(slots, vcpuId), mmu);
        }

        @Override
        public void close() {
            hostMm.close();
        }
    }
}
