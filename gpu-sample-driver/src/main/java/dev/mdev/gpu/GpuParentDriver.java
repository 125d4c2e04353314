package dev.mdev.gpu;

import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;

import java.util.List;
import java.util.stream.IntStream;

/// The sample GPU's parent driver: where [java.util.ServiceLoader] starts.
///
/// A driver of real hardware would scan the bus here; this one creates as many GPUs as the
/// operator's settings say ([GpuSettings]).
public final class GpuParentDriver implements ParentDriver {
    private final boolean hasThreads;

    /// For [java.util.ServiceLoader]. [#probe] does all the work.
    public GpuParentDriver() {
        this(true);
    }

    /// @param hasThreads false for tests that run the engines' rounds themselves
    GpuParentDriver(boolean hasThreads) {
        this.hasThreads = hasThreads;
    }

    @Override
    public String name() {
        return "gpu-sample";
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        GpuSettings settings = GpuSettings.from(host);
        return IntStream.range(0, settings.count())
                .filter(i -> !host.isPresent("gpu" + i))
                .<ParentDevice>mapToObj(i ->
                        GpuParent.allocate(
                                "gpu" + i, settings, host, new Engine("gpu" + i, hasThreads)))
                .toList();
    }
}
