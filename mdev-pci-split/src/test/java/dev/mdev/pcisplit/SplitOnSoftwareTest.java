package dev.mdev.pcisplit;

import dev.mdev.core.engine.Engine;
import dev.mdev.core.engine.software.SoftwareEngine;
import dev.mdev.core.hostmm.HostMemory;
import dev.mdev.core.hostmm.OffHeapBackend;
import dev.mdev.pcisplit.function.FakeFunction;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import java.nio.file.Path;
import java.util.Objects;

/// A function in plain files, and guests in Java.
@EnabledOnOs(value = OS.LINUX, disabledReason = "system calls of Linux")
final class SplitOnSoftwareTest extends SplitMachineContract {
    private @TempDir Path root;
    private @Nullable FakeFunction card;

    @Override
    Engine newEngine() {
        return new SoftwareEngine(DEADLINE);
    }

    @Override
    HostMemory newMemory() {
        return HostMemory.withHomes(new OffHeapBackend(), Long.MAX_VALUE);
    }

    @Override
    PciSplitDriver newDriver() {
        FakeFunction added = new FakeFunction(root).memory(2, 0xf000_0000L, 4 << 20);
        card = added;
        return new PciSplitDriver(added.sysfs(), added.proc(), added.dev());
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
