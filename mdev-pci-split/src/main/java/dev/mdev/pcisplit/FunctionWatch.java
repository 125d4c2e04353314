package dev.mdev.pcisplit;

import dev.mdev.pcisplit.function.PciFunction;

import java.time.Duration;
import java.util.Optional;
import java.util.function.Consumer;

/// Looks from time to time, and on request, whether a function still answers. Nothing tells a
/// process that a function was unplugged: its pages read as all ones, or as anything.
final class FunctionWatch implements AutoCloseable {
    private final PciFunction function;
    private final long everyNanos;
    private final Consumer<String> gone;
    private final Watcher watcher;

    private FunctionWatch(PciFunction function, Duration every, Consumer<String> gone) {
        this.function = function;
        this.everyNanos = every.toNanos();
        this.gone = gone;
        this.watcher = new Watcher("pci-split-" + function.address(), this::run);
    }

    /// @param gone receives once, on the watch's thread, why the function is gone
    static FunctionWatch start(PciFunction function, Duration every, Consumer<String> gone) {
        FunctionWatch watch = new FunctionWatch(function, every, gone);
        watch.watcher.start();
        return watch;
    }

    /// Lets the watch look at once.
    void lookNow() {
        watcher.wake();
    }

    private void run() {
        while (watcher.await(everyNanos)) {
            Optional<String> why = function.silence();
            if (why.isPresent()) {
                gone.accept(why.get());
                return;
            }
        }
    }

    /// Ends the watch, and waits until it has told of the function, if it is telling.
    @Override
    public void close() {
        watcher.close();
    }
}
