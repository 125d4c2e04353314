package dev.mdev.core.kernelbus;

import dev.mdev.api.MdevException;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentDriver;
import dev.mdev.api.ParentHost;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Finds the parents of the kernel's mdev bus. Settings: `sysfs`, `procfs` and `dev`, where these
/// file systems are; `poll-millis`, how often it looks for changes by other programs, 0 for never;
/// `poll-only`, `true` for no attention to the kernel's messages about them.
public final class KernelBusDriver implements ParentDriver {
    /// Its name.
    public static final String NAME = "kernel-mdev";

    private final KernelFiles files;

    /// Looks for changes, from the first search on; used by one search at a time.
    private volatile @Nullable BusWatch watch;

    /// The driver of this machine's bus.
    public KernelBusDriver() {
        this(new SystemFiles());
    }

    KernelBusDriver(KernelFiles files) {
        this.files = files;
    }

    /// Where the kernel's file systems are.
    record Roots(String sysfs, String procfs, String dev) {
        static Roots of(ParentHost host) {
            return new Roots(
                    host.setting("sysfs").orElse("/sys"),
                    host.setting("procfs").orElse("/proc"),
                    host.setting("dev").orElse("/dev"));
        }
    }

    @Override
    public String name() {
        return NAME;
    }

    @Override
    public List<ParentDevice> probe(ParentHost host) {
        Roots roots = Roots.of(host);
        KernelTree tree = new KernelTree(files, roots.sysfs());
        startWatch(tree, host);
        List<ParentDevice> found = new ArrayList<>();
        for (String name : tree.parents()) {
            if (!host.isPresent(name)) {
                open(name, roots, host).ifPresent(found::add);
            }
        }
        return found;
    }

    /// A parent whose files cannot be read does not affect the others.
    private Optional<ParentDevice> open(String name, Roots roots, ParentHost host) {
        try {
            return Optional.of(
                    new KernelBusParent(
                            roots, files, name, host.allocateAperture("mdev " + name, 1)));
        } catch (MdevException e) {
            host.report("parent=%s is left out: %s".formatted(name, e.getMessage()));
            return Optional.empty();
        }
    }

    private void startWatch(KernelTree tree, ParentHost host) {
        Duration interval = Duration.ofMillis(host.number("poll-millis", 1000, 0, 3_600_000));
        boolean listens = !host.flag("poll-only");
        if (watch == null && (listens || !interval.isZero())) {
            BusMessages messages = listens ? listen(host) : null;
            watch = BusWatch.start(tree::shape, host.lookAgain(), interval, messages);
        }
    }

    private @Nullable BusMessages listen(ParentHost host) {
        try {
            return files.listen();
        } catch (MdevException e) {
            host.report("cannot listen to the kernel's messages, only looks: " + e.getMessage());
            return null;
        }
    }

    @Override
    public void close() {
        BusWatch started = watch;
        if (started != null) {
            started.close();
        }
    }
}
