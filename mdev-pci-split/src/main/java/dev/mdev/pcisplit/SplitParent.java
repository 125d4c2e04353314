package dev.mdev.pcisplit;

import com.google.errorprone.annotations.concurrent.GuardedBy;

import dev.mdev.api.Aperture;
import dev.mdev.api.Errno;
import dev.mdev.api.MdevContext;
import dev.mdev.api.MdevDevice;
import dev.mdev.api.MdevException;
import dev.mdev.api.MdevType;
import dev.mdev.api.ParentDevice;
import dev.mdev.api.ParentHost;
import dev.mdev.api.PciIdentity;
import dev.mdev.api.ReportLevel;
import dev.mdev.api.Reporter;
import dev.mdev.api.ResourcePool;
import dev.mdev.api.page.Caching;
import dev.mdev.api.page.Page;
import dev.mdev.pcisplit.description.Description;
import dev.mdev.pcisplit.description.Description.DeviceType;
import dev.mdev.pcisplit.function.PciFunction;
import dev.mdev.pcisplit.function.UioInterrupts;

import org.jspecify.annotations.Nullable;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/// A function that is shared as its description says.
///
/// When the function vanishes, all its devices lose their mappings, and every later access of their
/// guests fails; a function that comes back is another one.
final class SplitParent implements ParentDevice {
    private final Description description;
    private final PciFunction function;
    private final PciIdentity identity;
    private final FunctionMemory memory;
    private final Reporter reporter;
    private final Runnable whenClosed;
    private final List<MdevType> types;
    private @Nullable FunctionWatch watch;

    /// Null if the devices' interrupts come from looks only.
    private @Nullable FunctionLine line;

    /// Guards the devices and whether the function is gone; a leaf.
    private final Object lock = new Object();

    @GuardedBy("lock")
    private final List<SplitDevice> devices = new ArrayList<>();

    /// Why the function is gone; null while it is there.
    private volatile @Nullable String gone;

    private SplitParent(
            Description description,
            PciFunction function,
            FunctionMemory memory,
            Reporter reporter,
            Runnable whenClosed) {
        this.description = description;
        this.function = function;
        this.identity = function.identity();
        this.memory = memory;
        this.reporter = reporter;
        this.whenClosed = whenClosed;
        this.types = description.types().stream().map(this::typeOf).toList();
    }

    /// @param whenClosed called when the parent is closed
    /// @throws MdevException if the host cannot map the function's files
    static SplitParent open(
            Description description, PciFunction function, ParentHost host, Runnable whenClosed) {
        return new SplitParent(
                description,
                function,
                FunctionMemory.map(description, function, host),
                host.reporterOf(description.name()),
                whenClosed);
    }

    /// Begins to look whether the function is there.
    void watch(Duration every) {
        watch = FunctionWatch.start(function, every, this::functionGone);
    }

    /// Begins to wait for the function's own interrupts, if the kernel passes them on.
    ///
    /// @param dev where the files of devices are
    /// @throws MdevException EIO if its file cannot be opened
    void listen(Path dev) {
        boolean interrupts =
                description.types().stream().anyMatch(type -> !type.interrupts().isEmpty());
        if (interrupts) {
            function.uio()
                    .map(name -> UioInterrupts.open(function, dev.resolve(name)))
                    .ifPresent(opened ->
                            line =
                                    FunctionLine.start(
                                            "pci-split-irq-" + function.address(),
                                            opened,
                                            this::lineEnded));
        }
    }

    /// On the thread of the line.
    private void lineEnded(String why) {
        reporter.report(
                ReportLevel.WARNING,
                "function %s interrupts no more, so the driver looks at its registers: %s"
                        .formatted(function.address(), why));
    }

    @Nullable FunctionLine line() {
        return line;
    }

    private MdevType typeOf(DeviceType type) {
        return new MdevType(
                type.id(),
                type.name(),
                type.text(),
                MdevType.VFIO_PCI,
                type.demands(),
                (int) Math.min(type.most(), mostOf(type)));
    }

    /// As many as the pools have pages for.
    private long mostOf(DeviceType type) {
        return type.demands().stream()
                .mapToLong(demand ->
                        Page.numberOf(description.pool(demand.pool()).sizeBytes())
                                / demand.npages())
                .min()
                .orElse(1);
    }

    @Override
    public String name() {
        return description.name();
    }

    @Override
    public String description() {
        return description.text();
    }

    @Override
    public Aperture aperture() {
        return memory.aperture();
    }

    @Override
    public List<ResourcePool> pools() {
        return memory.pools();
    }

    @Override
    public List<MdevType> types() {
        return types;
    }

    FunctionMemory memory() {
        return memory;
    }

    /// How guests map the pages of a pool.
    Caching cachingOf(String pool) {
        return description.pool(pool).combinesWrites() ? Caching.WRITE_COMBINING : Caching.UNCACHED;
    }

    PciIdentity identity() {
        return identity;
    }

    @Override
    public MdevDevice create(MdevContext context) {
        DeviceType type =
                description.types().stream()
                        .filter(it -> it.id().equals(context.type().id()))
                        .findFirst()
                        .orElseThrow();
        SplitDevice device = new SplitDevice(this, type, context);
        requireAnswer();
        // The last device may have ended without a reset.
        device.reset();
        synchronized (lock) {
            requireThere();
            devices.add(device);
        }
        device.watchInterrupts();
        return device;
    }

    void closed(SplitDevice device) {
        synchronized (lock) {
            devices.remove(device);
        }
    }

    /// @throws MdevException ENODEV if the function is known to be gone
    void requireThere() {
        String why = gone;
        if (why != null) {
            throw new MdevException(Errno.ENODEV, why);
        }
    }

    /// Why the function is gone, or null.
    @Nullable String gone() {
        return gone;
    }

    /// Asks the function itself, after an access that looks as if it were gone.
    ///
    /// @throws MdevException ENODEV if it is gone
    void requireAnswer() {
        requireThere();
        FunctionWatch watching = watch;
        if (watching != null && function.silence().isPresent()) {
            watching.lookNow();
            throw new MdevException(
                    Errno.ENODEV,
                    "function %s is gone: %s"
                            .formatted(function.address(), function.silence().orElse("")));
        }
    }

    void resetFunction() {
        function.reset();
    }

    /// On the thread of the watch.
    private void functionGone(String why) {
        String words = "function %s is gone: %s".formatted(function.address(), why);
        List<SplitDevice> affected;
        synchronized (lock) {
            gone = words;
            affected = List.copyOf(devices);
        }
        affected.forEach(SplitDevice::functionGone);
        reporter.report(ReportLevel.ERROR, words);
    }

    @Override
    public void close() {
        try {
            FunctionWatch watching = watch;
            if (watching != null) {
                watching.close();
            }
            FunctionLine listening = line;
            if (listening != null) {
                listening.close();
            }
        } finally {
            whenClosed.run();
        }
    }
}
