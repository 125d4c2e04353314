package dev.mdev.pcisplit;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.kvm.KvmEngine;
import dev.mdev.core.engine.kvm.RealKvm;
import dev.mdev.core.engine.kvm.mm.MemfdMemory;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.pcisplit.function.FakeFunction;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Objects;

/// A function in plain files that combines writes, and guests on real virtual processors.
@RealKvm
final class SplitOnKvmTest extends SplitMachineContract {
    private @TempDir Path root;
    private @Nullable FakeFunction card;

    @Override
    Engine newEngine() {
        return new KvmEngine(DEADLINE);
    }

    @Override
    HostMemory newMemory() {
        return new HostMemory(new MemfdMemory());
    }

    @Override
    PciSplitDriver newDriver() {
        FakeFunction added = new FakeFunction(root).memory(2, 0xf000_0000L, 4 << 20);
        card = added;
        return new PciSplitDriver(added.sysfs(), added.proc(), added.dev());
    }

    @Override
    String poolOptions() {
        return ", write-combining: true";
    }

    @Override
    String address() {
        return FakeFunction.ADDRESS;
    }

    @Override
    void unplug() {
        Objects.requireNonNull(card).unplug();
    }
}
