package dev.mdev.core.kernelbus;

import dev.mdev.api.Attribute;
import dev.mdev.gate.OnlyInBox;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.UUID;

/// Crashes on a real kernel. Its samples take no attributes.
@OnlyInBox
@Timeout(value = 1800, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class RealKernelCrashTest extends KernelCrashContract {
    @BeforeAll
    static void loadModules() {
        RealKernelBusTest.loadModules();
    }

    @Override
    KernelFiles kernel() {
        return new SystemFiles();
    }

    @Override
    List<Attribute> attributes() {
        return List.of();
    }

    @Override
    boolean hasAttributes(UUID uuid) {
        return true;
    }

    /// Each removal takes a process, and seconds, there.
    @Override
    List<Boolean> powerLosses() {
        return List.of(false);
    }
}
