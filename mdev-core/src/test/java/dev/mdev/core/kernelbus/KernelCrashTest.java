package dev.mdev.core.kernelbus;

import dev.mdev.api.Attribute;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Timeout;

import java.util.List;
import java.util.UUID;

/// Crashes on a fake kernel, whose devices take attributes.
@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
@Tag("slow")
class KernelCrashTest extends KernelCrashContract {
    private FakeKernel kernel = new FakeKernel();

    @Override
    KernelFiles kernel() {
        kernel = new FakeKernel();
        return kernel;
    }

    @Override
    List<Attribute> attributes() {
        return List.of(new Attribute("vendor/a", "1"), new Attribute("vendor/a", "2"));
    }

    @Override
    boolean hasAttributes(UUID uuid) {
        List<String> written = kernel.settings();
        int last = written.size() - 1;
        return last >= 1
                && written.get(last - 1).equals(uuid + "/vendor/a=1")
                && written.get(last).equals(uuid + "/vendor/a=2");
    }
}
