package dev.mdev.core.vm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.engine.software.SoftwareOptions;
import dev.mdev.core.hostmm.MemoryBackend;
import dev.mdev.core.hostmm.OffHeapBackend;

import org.junit.jupiter.api.Test;

/// On a processor with few address bits.
final class MachineStateNarrowTest extends MachineStateContract {
    private static final int BITS = 39;

    @Override
    Engine engine() {
        return new SoftwareEngine(
                PciMachine.PATIENCE, SoftwareOptions.DEFAULT.withPhysicalAddressBits(BITS));
    }

    @Override
    MemoryBackend backend() {
        return new OffHeapBackend();
    }

    @Test
    void itsMachinesHaveFewAddressBits() {
        assertThat(machine.vm.addresses().physicalAddressBits()).isEqualTo(BITS);
    }
}
