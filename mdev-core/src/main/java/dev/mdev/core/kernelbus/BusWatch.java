package dev.mdev.core.kernelbus;

import dev.mdev.api.MdevException;

import org.jspecify.annotations.Nullable;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/// A thread that notices what other programs do on the bus: the kernel tells, and the thread looks
/// at the folders from time to time, because messages do not reach every container.
final class BusWatch implements AutoCloseable {
    private final CountDownLatch end = new CountDownLatch(1);
    private final Supplier<String> shape;
    private final Runnable changed;
    private final Duration interval;
    private final @Nullable BusMessages messages;

    /// Whether messages can be heard; used by the thread.
    private boolean hears;

    private BusWatch(
            Supplier<String> shape,
            Runnable changed,
            Duration interval,
            @Nullable BusMessages messages) {
        this.shape = shape;
        this.changed = changed;
        this.interval = interval;
        this.messages = messages;
        hears = messages != null;
    }

    /// @param shape a text that changes with the bus
    /// @param changed is run after each change
    /// @param interval how often to look without a message; zero for never
    /// @param messages the kernel's; the watch closes them
    static BusWatch start(
            Supplier<String> shape,
            Runnable changed,
            Duration interval,
            @Nullable BusMessages messages) {
        BusWatch watch = new BusWatch(shape, changed, interval, messages);
        // What the search that started this sees.
        String first = watch.read("");
        // Not a virtual one: it waits in the kernel.
        Thread.ofPlatform().daemon().name("mdev-kernel-watch").start(() -> watch.run(first));
        return watch;
    }

    private void run(String first) {
        String seen = first;
        try {
            while (end.getCount() > 0) {
                boolean told = await();
                String now = read(seen);
                if (end.getCount() > 0 && (told || !now.equals(seen))) {
                    changed.run();
                }
                seen = now;
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /// Whether the kernel told of a change. Where it cannot be heard any more, only looking is
    /// left.
    private boolean await() throws InterruptedException {
        if (messages != null && hears) {
            try {
                return messages.await(interval);
            } catch (MdevException e) {
                hears = false;
                return true;
            }
        }
        if (interval.isZero()) {
            end.await();
        } else {
            var _ = end.await(interval.toMillis(), TimeUnit.MILLISECONDS);
        }
        return false;
    }

    /// What cannot be read now is looked at the next time; a verb reports it.
    private String read(String before) {
        try {
            return shape.get();
        } catch (MdevException e) {
            return before;
        }
    }

    @Override
    public void close() {
        end.countDown();
        if (messages != null) {
            messages.close();
        }
    }
}
